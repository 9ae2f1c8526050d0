package relay_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/cell/link/linktest"
	"tunic/circuit"
	"tunic/directory"
	"tunic/directory/keys"
	"tunic/relay"
)

// hostileInMemory is hostile in a network in memory.
func (nw *testNet) hostileInMemory(r *testRelay) *linktest.Hostile {
	nw.t.Helper()
	transport, _ := nw.host()
	conn, err := transport.Dial(nw.ctx(), r.target().Addrs[0])
	if err != nil {
		nw.t.Fatal(err)
	}
	return linktest.Initiate(nw.t, conn, r.target(), linktest.Options{Prologue: linktest.Prologue(nw.network.Digest(), r.ID())})
}

func TestStalledHandshakeIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newNet(t, 1, options{memory: true})
		h := nw.hostileInMemory(nw.relays[0])
		all := fragments(nw.message1(nw.relays[0]))
		bystander := nw.circuit(nw.client(nil), nw.relays[0])
		h.Send(h.NewID(2), cell.CreateDir, make([]byte, cell.DirNonceSize)) // and one of the same link
		h.Expect(h.NewID(2), cell.CreatedDir)
		start := time.Now()
		h.Send(h.NewID(1), cell.Create, all[0])
		time.Sleep(6 * time.Second)
		h.Send(h.NewID(1), cell.Create, all[1])
		c, err := h.Next(time.Minute)
		if err != nil || c.Command != cell.Destroy || cell.Reason(c.Body[0]) != cell.ReasonTimeout {
			t.Fatalf("got %v %v, %v", c, c.Body[:1], err)
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("after %v", d)
		}
		h.Send(h.NewID(1), cell.Create, all[2]) // too late: out of order now
		if got := h.ExpectDestroy(h.NewID(1)); got != cell.ReasonProtocol {
			t.Errorf("destroyed with %v", got)
		}
		s, err := bystander.DialDir(t.Context())
		if err != nil {
			t.Fatalf("another circuit: %v", err)
		}
		if n := nw.getConsensus(s); n != 1 {
			t.Errorf("another circuit gets a consensus of %d relays", n)
		}
		h.Send(h.NewID(2), cell.Relay, []byte("noise")) // answered: it is there
		if got := h.ExpectDestroy(h.NewID(2)); got != cell.ReasonProtocol {
			t.Errorf("the other circuit of the link: %v", got)
		}
		h.Close()
	})
}

// An unknown identity makes the relay fetch the newest consensus, once in a
// while; what that lists is found.
func TestUnknownRelayIsLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const gap = 10 * time.Second // between fetches
		nw := newNet(t, 1, options{memory: true, period: time.Hour})
		p := nw.client(nil)
		time.Sleep(gap)
		before := nw.authority.fetches.Load()
		// Within the time of one fetch a second unknown identity causes no other.
		for range 2 {
			c := nw.circuit(p, nw.relays[0])
			err := c.Extend(t.Context(), circuit.HopInfo{ID: keys.GenerateIdentity().Public(), Key: keys.GenerateCircuit().Public()})
			if d, ok := errors.AsType[*circuit.DestroyError](err); !ok || d.Reason != cell.ReasonIdentity {
				t.Errorf("extend: %v", err)
			}
		}
		if n := nw.authority.fetches.Load() - before; n != 1 {
			t.Errorf("%d fetches for two unknown identities, want 1", n)
		}
		young := nw.add(options{}, 1)
		nw.authority.await(t, young.ID(), whatever)
		valid := nw.authority.source.Current().Consensus.FreshUntil
		time.Sleep(time.Until(valid)) // to the instant: nobody fetches by itself yet
		var list []directory.Relay
		for _, r := range nw.relays {
			list = append(list, nw.authority.await(t, r.ID(), whatever).Relay())
		}
		nw.setConsensus(list)
		c := nw.circuit(p, nw.relays[0])
		if err := c.Extend(t.Context(), young.hop()); err != nil {
			t.Errorf("extend to a relay that the newest consensus lists: %v", err)
		}
		if now := time.Now(); !now.Equal(valid) {
			t.Errorf("that took %v", now.Sub(valid))
		}
	})
}

// A relay that accepts a connection and then says nothing costs the client of an
// EXTEND some seconds, and is told for what it is.
func TestExtendToASilentRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newNet(t, 2, options{memory: true})
		silent := nw.relays[1]
		silent.stop()
		<-silent.done
		transport, _ := nw.host()
		ln, err := transport.Listen(silent.keysAddr(nw))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		p := nw.client(nil)
		for i, want := range []struct {
			least, most time.Duration
		}{{8 * time.Second, 10 * time.Second}, {0, time.Second}} { // the second EXTEND knows already
			c := nw.circuit(p, nw.relays[0])
			start := time.Now()
			err := c.Extend(t.Context(), silent.hop())
			if d, ok := errors.AsType[*circuit.DestroyError](err); !ok || d.Hop != 0 || d.Reason != cell.ReasonConnect && d.Reason != cell.ReasonIdentity {
				t.Errorf("extend %d: %v", i, err)
			}
			if d := time.Since(start); d < want.least || d > want.most {
				t.Errorf("extend %d took %v", i, d)
			}
		}
	})
}

// keysAddr returns the address that the network knows a relay by.
func (r *testRelay) keysAddr(nw *testNet) netip.AddrPort {
	return nw.authority.source.Current().Consensus.Relay(r.ID()).Addrs[0]
}

func TestNothingIsPublishedUnreached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newEmptyNet(t, options{memory: true})
		nw.authority.reaches.Store(false)
		r := nw.add(options{}, 0)
		time.Sleep(30 * time.Second)
		s := r.Status()
		if s.Reachable || !strings.Contains(s.Problem, "open TCP port 9001") || !s.Published.IsZero() {
			t.Errorf("reachable %v, problem %q, published %v", s.Reachable, s.Problem, s.Published)
		}
		nw.authority.reaches.Store(true)
		d := nw.authority.await(t, r.ID(), whatever)
		if len(d.Addrs) != 1 || d.Addrs[0] != r.target().Addrs[0] {
			t.Errorf("published at %v", d.Addrs)
		}
		synctest.Wait()
		if s := r.Status(); !s.Reachable || s.Problem != "" || s.Accepted != 1 || s.Published.IsZero() {
			t.Errorf("reachable %v, problem %q, accepted by %d", s.Reachable, s.Problem, s.Accepted)
		}
	})
}

func TestAddressIsWhatTheAuthoritiesSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newEmptyNet(t, options{memory: true})
		var listen netip.AddrPort
		r := nw.add(options{config: func(_ int, c *relay.Config) {
			listen = c.Listen[0]
			c.Address = nil
		}}, 0)
		d := nw.authority.await(t, r.ID(), whatever)
		if len(d.Addrs) != 1 || d.Addrs[0] != listen {
			t.Errorf("published at %v, listens on %v", d.Addrs, listen)
		}
	})
}

func TestPrivateAddressIsNotPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newEmptyNet(t, options{memory: true, public: true})
		r := nw.add(options{}, 0)
		time.Sleep(time.Minute)
		if s := r.Status(); !strings.Contains(s.Problem, "public internet") || !s.Published.IsZero() {
			t.Errorf("problem %q, published %v", s.Problem, s.Published)
		}
	})
}

func TestUploadIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newEmptyNet(t, options{memory: true})
		nw.authority.refuses.Store(3)
		start := time.Now()
		r := nw.add(options{}, 0)
		nw.authority.await(t, r.ID(), whatever)
		if d := time.Since(start); d < 3*time.Second || d > 2*time.Minute {
			t.Errorf("taken after %v", d)
		}
	})
}

// Within 12 h the descriptor is renewed, within a week and some hours the circuit
// key is another one, and the one before still answers.
func TestDescriptorAndKeysAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newNet(t, 1, options{memory: true, period: time.Hour})
		r := nw.relays[0]
		first := nw.authority.await(t, r.ID(), whatever)
		old := r.hop()
		time.Sleep(12*time.Hour + time.Minute)
		second := nw.authority.await(t, r.ID(), whatever)
		if age := second.Published.Sub(first.Published); age < 11*time.Hour || age > 13*time.Hour {
			t.Errorf("renewed after %v", age)
		}
		if second.Circuit.Subject != first.Circuit.Subject {
			t.Error("another circuit key after half a day")
		}
		time.Sleep(7 * 24 * time.Hour)
		third := nw.authority.await(t, r.ID(), whatever)
		if third.Circuit.Subject == first.Circuit.Subject {
			t.Error("the same circuit key after a week")
		}
		for _, h := range []circuit.HopInfo{old, r.hop()} {
			c, err := circuit.Open(nw.ctx(), nw.dial(nw.client(nil), r), h, nw.params)
			if err != nil {
				t.Errorf("a key that should answer: %v", err)
				continue
			}
			c.Close()
		}
	})
}

func TestUnlistedRelayPublishesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newNet(t, 2, options{memory: true, period: time.Hour})
		r := nw.relays[1]
		first := nw.authority.await(t, r.ID(), whatever)
		time.Sleep(time.Hour)
		nw.setConsensus([]directory.Relay{nw.authority.await(t, nw.relays[0].ID(), whatever).Relay()})
		time.Sleep(2 * time.Hour)
		d := nw.authority.await(t, r.ID(), whatever)
		if age := d.Published.Sub(first.Published); age < 90*time.Minute || age > 3*time.Hour {
			t.Errorf("published again after %v", age)
		}
		if s := r.Status(); s.Listed {
			t.Error("listed")
		}
	})
}

// A link may have so many EXTENDs waiting for a relay that does not answer; one
// more is refused at once, and other links still have theirs.
func TestWaitingExtendsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newNet(t, 2, options{memory: true})
		silent := nw.relays[1]
		silent.stop()
		<-silent.done
		transport, _ := nw.host()
		ln, err := transport.Listen(silent.keysAddr(nw))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		const perLink = 512
		p := nw.client(nil)
		errs := make(chan error, perLink)
		for range perLink {
			c := nw.circuit(p, nw.relays[0])
			go func() { errs <- c.Extend(t.Context(), silent.hop()) }() // ends within 10 s
		}
		synctest.Wait()
		start := time.Now()
		err = nw.circuit(p, nw.relays[0]).Extend(t.Context(), silent.hop())
		if d, ok := errors.AsType[*circuit.DestroyError](err); !ok || d.Reason != cell.ReasonResource || time.Since(start) > time.Second {
			t.Errorf("one too many: %v after %v", err, time.Since(start))
		}
		other := make(chan error, 1)
		c := nw.circuit(nw.client(nil), nw.relays[0])
		go func() { other <- c.Extend(t.Context(), silent.hop()) }() // ends within 10 s
		for range perLink {
			err := <-errs
			if d, ok := errors.AsType[*circuit.DestroyError](err); !ok || d.Reason == cell.ReasonResource {
				t.Fatalf("extend: %v", err)
			}
		}
		if d, ok := errors.AsType[*circuit.DestroyError](<-other); !ok || d.Reason == cell.ReasonResource {
			t.Errorf("another link's extend: %v", d)
		}
		// What waited has made room.
		if n := nw.relays[0].Status().Refused["extends under way"]; n != 1 {
			t.Errorf("%d refusals counted", n)
		}
	})
}

func TestLookupsOfACircuitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newNet(t, 2, options{memory: true})
		c := nw.circuit(nw.client(nil), nw.relays...)
		ask := func(n int) (refused int) {
			for range n {
				r, err := c.Resolve(t.Context(), cell.ResolveRequest{Host: "127.1"})
				if err != nil {
					t.Fatal(err)
				}
				if r.Answers[0].Kind == cell.AnswerTryAgain {
					refused++
				}
			}
			return refused
		}
		if n := ask(330); n != 30 {
			t.Errorf("%d of 330 lookups at once refused, want 30", n)
		}
		time.Sleep(time.Second)
		if n := ask(110); n != 10 {
			t.Errorf("%d of 110 lookups a second later refused, want 10", n)
		}
	})
}
