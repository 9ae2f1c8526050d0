package link_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell/link"
	"tunic/cell/link/linktest"
	"tunic/cell/work"
	"tunic/directory/keys"
)

// closed reports whether the peer has closed the connection already.
func closed(conn net.Conn) bool {
	conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := io.Copy(io.Discard, conn)
	return err == nil
}

// knows makes an address one of a known peer's, of a class.
func knows(c *link.Config, addr string, class work.Class) {
	next := c.SourceClass
	c.SourceClass = func(a netip.Addr) work.Class {
		switch {
		case a == netip.MustParseAddr(addr):
			return class
		case next != nil:
			return next(a)
		}
		return work.Stranger
	}
}

// classes makes relays and authorities of proven identities.
func classes(c *link.Config, authorities ...*linktest.Relay) {
	c.Classify = func(id keys.RelayID) work.Class {
		for _, a := range authorities {
			if a.ID == id {
				return work.Authority
			}
		}
		return work.Relay
	}
}

// A source has at most 100 connections and links at once, whatever state they are
// in; others and known relays are not touched by that.
func TestSourceHasAtMost100AtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *link.Config) {
			c.Limits.SourceBurst, c.Limits.SourceRate = 1000, 1000
			knows(c, "10.5.5.5", work.Relay)
		})
		var all []net.Conn
		for i := range 100 {
			if i%2 == 0 {
				all = append(all, r.hostile(t, "10.1.1.1", linktest.Options{}).Conn)
			} else {
				all = append(all, r.connect(t, "10.1.1.1"))
			}
		}
		synctest.Wait()
		if !closed(r.connect(t, "10.1.1.1")) {
			t.Error("connection number 101 of one source was not closed")
		}
		if closed(r.connect(t, "10.1.1.2")) {
			t.Error("another source was refused")
		}
		for range 110 {
			if closed(r.connect(t, "10.5.5.5")) {
				t.Fatal("a known relay was refused")
			}
		}
		all[0].Close() // a link
		all[1].Close() // a connection
		synctest.Wait()
		for range 2 {
			if closed(r.connect(t, "10.1.1.1")) {
				t.Error("a place that became free was not given")
			}
		}
		if !closed(r.connect(t, "10.1.1.1")) {
			t.Error("more places were given than became free")
		}
	})
}

// Addresses of one IPv6 /64 are one source.
func TestSourceOfIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *link.Config) { c.Limits.SourceLinks = 1 })
		r.connect(t, "2001:db8::1")
		synctest.Wait()
		if !closed(r.connect(t, "2001:db8::2:3:4:5")) {
			t.Error("an address of the same /64 got a second place")
		}
		if closed(r.connect(t, "2001:db8:0:1::1")) {
			t.Error("an address of the next /64 was refused")
		}
	})
}

// 40 handshakes at once and 20 a second; more are met with silence.
func TestSourceRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *link.Config) { c.Limits.SourceLinks = 1000 })
		handshakes := func(n int) (ok int) {
			for range n {
				conn := r.connect(t, "10.1.1.1")
				conn.Write(linktest.FirstMessage(t, r.relay.Target(), linktest.Options{}))
				conn.SetReadDeadline(time.Now().Add(time.Millisecond))
				if _, err := io.ReadFull(conn, make([]byte, 1200)); err == nil {
					ok++
				}
			}
			return ok
		}
		if ok := handshakes(60); ok < 40 || ok > 42 { // the failures took a few milliseconds
			t.Errorf("%d of 60 handshakes at once were answered, want 40", ok)
		}
		time.Sleep(time.Second)
		if ok := handshakes(40); ok < 20 || ok > 22 {
			t.Errorf("%d handshakes were answered a second later, want 20", ok)
		}
		if n := r.pool.Stats().OverSource; n < 30 {
			t.Errorf("%d refusals were counted", n)
		}
	})
}

// When the places for unfinished handshakes are taken, the oldest that has shown
// nothing valid makes room; one that has is not touched.
func TestSilentConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *link.Config) { c.Limits.Silent = 9 }) // three of strangers
		valid := linktest.Initiate(t, r.connect(t, "10.1.1.1"), r.relay.Target(), linktest.Options{NoFirst: true})
		time.Sleep(time.Second)
		var silent []net.Conn
		for range 2 {
			silent = append(silent, r.connect(t, "10.1.1.2"))
			time.Sleep(time.Second)
		}
		for i := range 5 {
			silent = append(silent, r.connect(t, "10.1.1.3"))
			synctest.Wait()
			for j, conn := range silent {
				if want := j <= i; closed(conn) != want {
					t.Fatalf("with %d silent connections number %d is closed: %v", len(silent), j, !want)
				}
			}
		}
		valid.SendCells(valid.FirstCells(nil, time.Time{}, nil)...)
		r.link(t, valid)
	})
}

// With every place taken by valid handshakes that go no further a newcomer is
// refused, until the deadline frees them.
func TestNoPlaceLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *link.Config) { c.Limits.Silent = 3 })
		linktest.Initiate(t, r.connect(t, "10.1.1.1"), r.relay.Target(), linktest.Options{NoFirst: true})
		if !closed(r.connect(t, "10.1.1.2")) {
			t.Error("a newcomer got a place that there is not")
		}
		if n := r.pool.Stats().OverSilent; n != 1 {
			t.Errorf("%d refusals were counted, want 1", n)
		}
		time.Sleep(10*time.Second + 1) // the handshake failed: it may be evicted
		r.hostile(t, "10.1.1.2", linktest.Options{})
	})
}

// A flood of strangers takes neither the places nor the links of relays and
// authorities, told by their address before the handshake and by their proof after.
func TestThirdsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := linktest.NewRelay()
		r := newRig(t, func(c *link.Config) {
			c.MaxLinks, c.Limits.Silent = 9, 9
			knows(c, "10.5.5.5", work.Relay)
			knows(c, "10.6.6.6", work.Authority)
			classes(c, authority)
		})
		accepted := func(from string, as *linktest.Relay) bool {
			h := r.hostile(t, from, linktest.Options{As: as})
			synctest.Wait()
			return !closed(h.Conn)
		}
		for i := range 5 {
			if got, want := accepted("10.1.1.1", nil), i < 3; got != want {
				t.Errorf("stranger %d: accepted %v, want %v", i, got, want)
			}
		}
		for range 9 { // and as many as like say nothing
			r.connect(t, "10.1.1.2")
		}
		for i := range 5 {
			if got, want := accepted("10.5.5.5", linktest.NewRelay()), i < 3; got != want {
				t.Errorf("relay %d: accepted %v, want %v", i, got, want)
			}
		}
		for i := range 5 {
			if got, want := accepted("10.6.6.6", authority), i < 3; got != want {
				t.Errorf("authority %d: accepted %v, want %v", i, got, want)
			}
		}
		// The address alone does not help.
		if accepted("10.6.6.6", nil) {
			t.Error("a stranger at an authority's address got an authority's place")
		}
		if n := r.pool.Stats().OverLinks; n != 7 {
			t.Errorf("%d refusals were counted, want 7", n)
		}
	})
}

// A relay that has proved itself no longer counts for its source.
func TestProvenRelayIsNotLimitedBySource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *link.Config) { c.Limits.SourceLinks = 2 })
		for range 5 {
			h := r.hostile(t, "10.1.1.1", linktest.Options{As: linktest.NewRelay()})
			r.link(t, h)
		}
	})
}

// One relay cannot take the places of all.
func TestLinksOfOnePeerAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		one := linktest.NewRelay()
		for i := range 10 {
			h := r.hostile(t, "10.1.1.1", linktest.Options{As: one})
			synctest.Wait()
			if got, want := closed(h.Conn), i >= 8; got != want {
				t.Errorf("link %d of one relay: closed %v, want %v", i, got, want)
			}
		}
		if h := r.hostile(t, "10.1.1.1", linktest.Options{As: linktest.NewRelay()}); closed(h.Conn) {
			t.Error("another relay was refused")
		}
	})
}

// A dialler's own links count too.
func TestDiallersLinksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		second := newRigIn(t, r.Memory, "10.0.0.2")
		third := newRigIn(t, r.Memory, "10.0.0.4")
		cfg := linktest.Client()
		cfg.MaxLinks = 3
		p, _ := r.dialler(t, cfg, "10.0.0.3")
		linktest.Dial(t, p, r.relay.Target(r.addr))
		linktest.Dial(t, p, second.relay.Target(second.addr))
		if _, err := p.Dial(t.Context(), third.relay.Target(third.addr)); !errors.Is(err, link.ErrLinks) {
			t.Errorf("a third relay's link of three: %v, want ErrLinks", err)
		}
		p.SetMaxLinks(6)
		linktest.Dial(t, p, third.relay.Target(third.addr))
	})
}

// newRigIn starts a further relay in a network.
func newRigIn(t testing.TB, m *linktest.Memory, host string) *rig {
	t.Helper()
	r := &rig{Memory: m, relay: linktest.NewRelay()}
	cfg := r.relay.Config(nil)
	cfg.Transport = m.At(netip.MustParseAddr(host))
	r.pool = linktest.NewPool(t, cfg)
	r.addr = linktest.Serve(t, r.pool, cfg.Transport, host)
	return r
}

// A handshake worker that is busy makes no link, and no difference to silence.
func TestBusyWorkersMeanSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		r := newRig(t, func(c *link.Config) {
			c.Limits.Workers = 1
			own := c.Keys
			c.Keys = func() []*keys.LinkKey { <-gate; return own() } // the worker does not come to an end
		})
		first := r.connect(t, "10.1.1.1")
		first.Write(linktest.FirstMessage(t, r.relay.Target(), linktest.Options{}))
		synctest.Wait()
		second := r.connect(t, "10.1.1.2")
		second.Write(linktest.FirstMessage(t, r.relay.Target(), linktest.Options{}))
		time.Sleep(6 * time.Second) // longer than an entry may wait
		close(gate)
		if n, took := silence(t, second); n != 0 || took > 24*time.Second {
			t.Errorf("%d bytes after %v", n, took)
		}
	})
}

// failing is a listener whose Accept fails.
type failing struct {
	net.Listener
	err error
	n   int
}

func (f *failing) Accept() (net.Conn, error) { f.n++; return nil, f.err }

func TestServeBacksOffAndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		ln, err := r.At(netip.MustParseAddr("10.0.0.9")).Listen(netip.MustParseAddrPort("10.0.0.9:1"))
		if err != nil {
			t.Fatal(err)
		}
		full := &failing{Listener: ln, err: &net.OpError{Op: "accept", Addr: ln.Addr(), Err: syscall.EMFILE}}
		began := time.Now()
		err = r.pool.Serve(full)
		if !errors.Is(err, syscall.EMFILE) || full.n != 30 {
			t.Errorf("%v after %d attempts, want EMFILE after 30", err, full.n)
		}
		if d := time.Since(began); d < 5*time.Second || d > 40*time.Second {
			t.Errorf("took %v", d)
		}
		if strings.Contains(err.Error(), "10.0.0.9") {
			t.Errorf("the error holds an address: %v", err)
		}
		if err := linktest.NewPool(t, linktest.Client()).Serve(ln); err == nil {
			t.Error("a client serves")
		}
	})
}
