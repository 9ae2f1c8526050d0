package link_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/link/linktest"
)

// transport counts dials, and may let some fail or hang.
type transport struct {
	link.Transport
	dials atomic.Int32
	fail  func(ctx context.Context, addr netip.AddrPort) error
}

func (t *transport) Dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	t.dials.Add(1)
	if t.fail != nil {
		if err := t.fail(ctx, addr); err != nil {
			return nil, err
		}
	}
	return t.Transport.Dial(ctx, addr)
}

// dialler returns a pool of a client at a host of r's network, and its transport.
func (r *rig) dialler(t testing.TB, cfg link.Config, host string) (*link.Pool, *transport) {
	t.Helper()
	tr := &transport{Transport: r.At(netip.MustParseAddr(host))}
	cfg.Transport = tr
	return linktest.NewPool(t, cfg), tr
}

func TestDialReusesALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p, tr := r.dialler(t, linktest.Client(), "10.0.0.3")
		target := r.relay.Target(r.addr)
		var all [10]*link.Link
		var dials sync.WaitGroup
		for i := range all { // at the same time: one dial
			dials.Go(func() { all[i] = linktest.Dial(t, p, target) })
		}
		dials.Wait()
		for _, l := range all {
			if l != all[0] {
				t.Fatal("dials at the same time made several links")
			}
		}
		if l := linktest.Dial(t, p, target); l != all[0] || tr.dials.Load() != 1 {
			t.Errorf("%d dials, want one", tr.dials.Load())
		}
		all[0].Close()
		if l := linktest.Dial(t, p, target); l == all[0] || tr.dials.Load() != 2 {
			t.Error("a closed link was handed out")
		}
	})
}

// A relay's own link, opened by the other side, serves for dialling too.
func TestDialUsesTheOtherDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		other := linktest.NewRelay()
		p, _ := r.dialler(t, other.Config(nil), "10.0.0.3")
		near := linktest.Dial(t, p, r.relay.Target(r.addr))
		synctest.Wait()
		back := linktest.Dial(t, r.pool, other.Target(netip.MustParseAddrPort("10.0.0.3:1")))
		if back.Dialled() || back.Binding() != near.Binding() {
			t.Error("a second link was made to a relay that has one")
		}
	})
}

func TestFailedDialIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p, tr := r.dialler(t, linktest.Client(), "10.0.0.3")
		dead := linktest.NewRelay().Target(netip.MustParseAddrPort("10.0.0.9:1"))
		dial := func(target link.Target) error {
			_, err := p.Dial(t.Context(), target)
			return err
		}
		if err := dial(dead); err == nil || errors.Is(err, link.ErrDialFailed) {
			t.Fatalf("dial: %v", err)
		}
		time.Sleep(59 * time.Second)
		if err := dial(dead); !errors.Is(err, link.ErrDialFailed) || tr.dials.Load() != 1 {
			t.Errorf("after 59 s: %v and %d dials, want ErrDialFailed and 1", err, tr.dials.Load())
		}
		moved := dead
		moved.Addrs = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.8:1")}
		if err := dial(moved); errors.Is(err, link.ErrDialFailed) || tr.dials.Load() != 2 {
			t.Errorf("with another address: %v and %d dials, want a new one", err, tr.dials.Load())
		}
		time.Sleep(61 * time.Second)
		if err := dial(moved); errors.Is(err, link.ErrDialFailed) || tr.dials.Load() != 3 {
			t.Errorf("after 61 s: %v and %d dials, want a new one", err, tr.dials.Load())
		}
		if err := dial(link.Target{ID: dead.ID}); !errors.Is(err, link.ErrNoAddress) {
			t.Errorf("without an address: %v", err)
		}
	})
}

// ctx ends the wait, not the dial.
func TestDialIsNotCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p, tr := r.dialler(t, linktest.Client(), "10.0.0.3")
		tr.fail = func(context.Context, netip.AddrPort) error { time.Sleep(time.Second); return nil }
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := p.Dial(ctx, r.relay.Target(r.addr)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the context's error", err)
		}
		time.Sleep(time.Second)
		if p.Find(r.relay.ID) == nil {
			t.Error("the dial was given up with its first waiter")
		}
	})
}

// The second address is tried a quarter of a second after the first, or as soon as
// that fails; the first that finishes wins.
func TestHappyEyeballs(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	bad := netip.MustParseAddrPort("[2001:db8::1]:1")
	for name, c := range map[string]struct {
		bad      func(ctx context.Context) error
		min, max time.Duration
	}{
		"first hangs": {hang, 250 * time.Millisecond, 250 * time.Millisecond},
		"first fails": {func(context.Context) error { return errors.New("refused") }, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				p, tr := r.dialler(t, linktest.Client(), "10.0.0.3")
				tr.fail = func(ctx context.Context, addr netip.AddrPort) error {
					if addr == bad {
						return c.bad(ctx)
					}
					return nil
				}
				began := time.Now()
				linktest.Dial(t, p, r.relay.Target(bad, r.addr))
				if d := time.Since(began); d < c.min || d > c.max {
					t.Errorf("took %v, want %v to %v", d, c.min, c.max)
				}
			})
		})
	}
}

// A host that accepts and says nothing costs a stagger, not the handshake's
// deadline; with nobody better the deadlines end the dial.
func TestSilentAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		silent := linktest.Listen(t, r.At(netip.MustParseAddr("10.0.0.7")), "10.0.0.7")
		quiet := silent.Target.Addrs[0]
		go func() { // accept and say nothing
			silent.AcceptRaw()
			silent.AcceptRaw()
		}()
		p, _ := r.dialler(t, linktest.Client(), "10.0.0.3")
		began := time.Now()
		linktest.Dial(t, p, r.relay.Target(quiet, r.addr))
		if d := time.Since(began); d != 250*time.Millisecond {
			t.Errorf("took %v, want 250ms", d)
		}
		began = time.Now()
		if _, err := p.Dial(t.Context(), silent.Target); !errors.Is(err, link.ErrHandshake) {
			t.Errorf("a silent relay: %v", err)
		}
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("took %v, want 10s", d)
		}
	})
}

func TestAtMostFourAddressesAreTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p, tr := r.dialler(t, linktest.Client(), "10.0.0.3")
		var many []netip.AddrPort
		for i := range 20 {
			many = append(many, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.9"), uint16(i+1)))
		}
		if _, err := p.Dial(t.Context(), r.relay.Target(many...)); err == nil {
			t.Error("nobody listens there")
		}
		if n := tr.dials.Load(); n != 4 {
			t.Errorf("%d addresses were tried, want 4", n)
		}
	})
}

// Two relays that dial each other at the same time end with one link that takes new
// circuits, the same at both; the other closes once it is empty.
func TestTwoDirectionsAtOnce(t *testing.T) {
	for range 8 { // the bindings decide, and they are random
		synctest.Test(t, func(t *testing.T) {
			slow := func(context.Context, netip.AddrPort) error { time.Sleep(time.Second); return nil }
			a := newRig(t, func(c *link.Config) { c.Transport = &transport{Transport: c.Transport, fail: slow} })
			other := linktest.NewRelay()
			b := &rig{Memory: a.Memory, relay: other}
			var tr *transport
			b.pool, tr = a.dialler(t, other.Config(nil), "10.0.0.2")
			tr.fail = slow // so that both have begun before either is done
			b.addr = linktest.Serve(t, b.pool, a.At(netip.MustParseAddr("10.0.0.2")), "10.0.0.2")
			var both sync.WaitGroup
			both.Go(func() { linktest.Dial(t, a.pool, b.relay.Target(b.addr)) })
			both.Go(func() { linktest.Dial(t, b.pool, a.relay.Target(a.addr)) })
			both.Wait()
			synctest.Wait()
			if n, m := len(a.pool.Links()), len(b.pool.Links()); n != 2 || m != 2 {
				t.Fatalf("%d and %d links, want 2 and 2", n, m)
			}
			x, y := a.pool.Find(b.relay.ID), b.pool.Find(a.relay.ID)
			if x == nil || y == nil || x.Binding() != y.Binding() {
				t.Fatal("the two ends take new circuits on different links")
			}
			if linktest.Dial(t, a.pool, b.relay.Target(b.addr)) != x {
				t.Error("a dial does not use that link")
			}
			time.Sleep(21 * time.Second)
			if n, m := len(a.pool.Links()), len(b.pool.Links()); n != 1 || m != 1 {
				t.Errorf("after 21 s %d and %d links, want one", n, m)
			}
			if a.pool.Find(b.relay.ID) != x {
				t.Error("the wrong link was closed")
			}
		})
	}
}

// A newcomer does not pull circuits over to itself: of links made at different times
// the older takes new circuits, and the younger lives as long as it has some.
func TestOlderLinkTakesNewCircuits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		other := linktest.NewRelay()
		old := r.hostile(t, "10.0.0.3", linktest.Options{As: other})
		first := r.link(t, old)
		time.Sleep(time.Minute)
		young := r.hostile(t, "10.0.0.4", linktest.Options{As: other})
		second := r.link(t, young)
		c, err := second.Open(&linktest.Receiver{})
		if err != nil {
			t.Fatalf("the younger link refuses a circuit of its own: %v", err)
		}
		if r.pool.Find(other.ID) != first {
			t.Error("the younger link takes new circuits")
		}
		time.Sleep(time.Minute)
		if second.Err() != nil {
			t.Fatal("the younger link closed with a circuit on it")
		}
		c.Forget()
		time.Sleep(21 * time.Second)
		if second.Err() == nil {
			t.Error("the younger link stays without circuits")
		}
		if first.Err() != nil {
			t.Error("the older link closed")
		}
	})
}

// When the older link goes, the younger takes new circuits and stays.
func TestYoungerLinkTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		other := linktest.NewRelay()
		old := r.hostile(t, "10.0.0.3", linktest.Options{As: other})
		r.link(t, old)
		time.Sleep(time.Minute)
		second := r.link(t, r.hostile(t, "10.0.0.4", linktest.Options{As: other}))
		old.Close()
		synctest.Wait()
		if r.pool.Find(other.ID) != second {
			t.Error("the younger link does not take over")
		}
		time.Sleep(time.Minute)
		if second.Err() != nil {
			t.Errorf("the younger link closed: %v", second.Err())
		}
	})
}

func TestOldLinkTakesNoNewCircuits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, accepting)
		// Not the default of 7 days, nor with a client's padding: Go 1.26 runs timers
		// of a bubble that are read side by side in one context of the race
		// detector, and each time there is a small chance that this crashes.
		cfg := linktest.NewRelay().Config(nil)
		cfg.Limits.MaxAge = 7 * time.Hour
		p, _ := r.dialler(t, cfg, "10.0.0.3")
		target := r.relay.Target(r.addr)
		first := linktest.Dial(t, p, target)
		c, err := first.Open(&linktest.Receiver{})
		if err != nil {
			t.Fatal(err)
		}
		push(t, c, cell.CreateDir, "")
		for range 7 {
			time.Sleep(time.Hour - time.Minute)
			if linktest.Dial(t, p, target) != first {
				t.Fatal("a link of less than 7 hours was not used")
			}
		}
		time.Sleep(10 * time.Minute)
		if linktest.Dial(t, p, target) == first {
			t.Error("a link of 7 hours takes new circuits")
		}
		if first.Err() != nil {
			t.Errorf("the old link closed with a circuit on it: %v", first.Err())
		}
	})
}

func TestReachability(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p, tr := r.dialler(t, linktest.Client(), "10.0.0.3")
		target := r.relay.Target(r.addr)
		linktest.Dial(t, p, target)
		tr.fail = func(context.Context, netip.AddrPort) error { time.Sleep(time.Second); return nil }
		d, err := p.Test(t.Context(), target)
		if err != nil || d != time.Second {
			t.Errorf("Test() = %v, %v; want 1s", d, err)
		}
		synctest.Wait()
		if n, m := tr.dials.Load(), len(p.Links()); n != 2 || m != 1 {
			t.Errorf("%d connections and %d links, want a fresh connection and no further link", n, m)
		}
		wrong := target
		wrong.Key = linktest.NewRelay().Link.Public()
		if _, err := p.Test(t.Context(), wrong); !errors.Is(err, link.ErrHandshake) {
			t.Errorf("with a wrong key: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := p.Test(ctx, target); err == nil {
			t.Error("no error after its context ended")
		}
	})
}

func TestClosedPoolDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p, _ := r.dialler(t, linktest.Client(), "10.0.0.3")
		l := linktest.Dial(t, p, r.relay.Target(r.addr))
		p.Close()
		p.Close()
		if _, err := p.Dial(t.Context(), r.relay.Target(r.addr)); !errors.Is(err, link.ErrClosed) {
			t.Errorf("Dial: %v", err)
		}
		if _, err := p.Test(t.Context(), r.relay.Target(r.addr)); !errors.Is(err, link.ErrClosed) {
			t.Errorf("Test: %v", err)
		}
		if _, err := l.Open(&linktest.Receiver{}); !errors.Is(err, link.ErrClosed) {
			t.Errorf("Open: %v", err)
		}
		if len(p.Links()) != 0 {
			t.Error("links are left")
		}
	})
}

// Close ends what is under way: dials that hang, handshakes, silent connections.
func TestCloseEndsHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.connect(t, "10.1.2.3")
		bad := r.connect(t, "10.1.2.4")
		bad.Write(make([]byte, 1280+silencedBytes))
		p, tr := r.dialler(t, linktest.Client(), "10.0.0.3")
		tr.fail = func(ctx context.Context, _ netip.AddrPort) error { <-ctx.Done(); return ctx.Err() }
		dialled := make(chan error, 1)
		go func() { _, err := p.Dial(context.Background(), r.relay.Target(r.addr)); dialled <- err }()
		synctest.Wait()
		began := time.Now()
		p.Close()
		r.pool.Close()
		if d := time.Since(began); d > time.Second {
			t.Errorf("Close took %v", d)
		}
		if err := <-dialled; err == nil {
			t.Error("a dial succeeded")
		}
	})
}

// silencedBytes is more than a silent connection has read for it.
const silencedBytes = 60 << 10

// What an operator sees of a failed dial names neither end.
func TestErrorsHoldNoAddress(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr).AddrPort()
	p := linktest.NewPool(t, linktest.Client())
	go func() {
		if conn, err := ln.Accept(); err == nil {
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close() // a reset
		}
		ln.Close()
	}()
	for range 2 { // reset, then refused
		_, err = p.Dial(t.Context(), linktest.NewRelay().Target(addr))
		if err == nil || strings.Contains(err.Error(), "127.0") || strings.Contains(err.Error(), strconv.Itoa(int(addr.Port()))) {
			t.Errorf("error %q", err)
		}
	}
	_, err = p.Dial(t.Context(), linktest.NewRelay().Target(netip.AddrPortFrom(netip.MustParseAddr("fe80::1%nowhere"), 9)))
	if err == nil || strings.Contains(err.Error(), "fe80") {
		t.Errorf("error %q", err)
	}
}

// A dialler offers only versions that the target answers, and does not dial at all
// where that leaves none.
func TestTargetsVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		p, tr := r.dialler(t, linktest.Client(), "10.0.0.3")
		target := r.relay.Target(r.addr)
		target.Versions = []uint8{9, 7}
		if _, err := p.Dial(t.Context(), target); !errors.Is(err, link.ErrVersion) {
			t.Errorf("Dial: %v, want ErrVersion", err)
		}
		if _, err := p.Test(t.Context(), target); !errors.Is(err, link.ErrVersion) || tr.dials.Load() != 0 {
			t.Errorf("Test: %v and %d dials, want ErrVersion and none", err, tr.dials.Load())
		}
		target.Versions = []uint8{9, 1}
		linktest.Dial(t, p, target)
	})
}

// Links from one source have the same number, those from another have another.
func TestSourceNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		number := func(from string) uint64 { return r.link(t, r.hostile(t, from, linktest.Options{})).Source() }
		first, again, other := number("10.1.1.1"), number("10.1.1.1"), number("10.1.1.2")
		if first != again || first == other {
			t.Error("an IPv4 address is not a source")
		}
		if number("2001:db8::1") != number("2001:db8::2") || number("2001:db8::1") == number("2001:db8:0:1::1") {
			t.Error("an IPv6 /64 is not a source")
		}
	})
}
