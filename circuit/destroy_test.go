package circuit_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"tunic/cell"
	"tunic/circuit"
	"tunic/circuit/congestion"
)

// destroyed checks why a circuit's end is gone.
func destroyed(t *testing.T, what string, c interface {
	Done() <-chan struct{}
	Err() error
}, hop int, reason cell.Reason) {
	t.Helper()
	d, ok := errors.AsType[*circuit.DestroyError](gone(t, c))
	if !ok || d.Hop != hop || d.Reason != reason {
		t.Errorf("%s: %v, want %v at hop %d", what, c.Err(), reason, hop)
	}
}

// TestDestroyByTheClient holds that a client gives no reason, and that all hops
// and the exit's streams end.
func TestDestroyByTheClient(t *testing.T) {
	nw := newNetwork(t, 3)
	streamErr := make(chan error, 1)
	nw.relays[2].begin = func(s *circuit.Stream, _ cell.BeginRequest) {
		nw.relays[2].work.Go(func() {
			s.Connect(cell.ConnectedReply{})
			_, err := io.Copy(io.Discard, s)
			streamErr <- err
		})
	}
	c := newClient(nw).build(3)
	s, err := c.Dial(t.Context(), "any", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	var hops []*circuit.Hop
	for _, r := range nw.relays {
		hops = append(hops, r.only(t))
	}
	c.Close()
	c.Close()
	if err := gone(t, c); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the circuit's error is %v, want net.ErrClosed", err)
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read: %v, want net.ErrClosed", err)
	}
	if _, err := s.Write(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write: %v, want net.ErrClosed", err)
	}
	for _, h := range hops {
		destroyed(t, "hop", h, 0, cell.ReasonNone)
	}
	if err := await(t, "the exit's stream", streamErr); !errors.Is(err, hops[2].Err()) {
		t.Errorf("the exit's stream: %v, want the circuit's error", err)
	}
	for _, err := range []error{c.Extend(t.Context(), nw.infos()[0]), second(c.Begin("echo", 1, 0)), second(c.DialDir(t.Context()))} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v, want net.ErrClosed", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestDestroyByAHop has each hop in turn destroy the circuit: the reason reaches
// the next neighbour towards the client, further in it is replaced, and outward
// none goes.
func TestDestroyByAHop(t *testing.T) {
	for at := range 3 {
		nw := newNetwork(t, 3)
		c := newClient(nw).build(3)
		s, err := c.Begin("echo", 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		var hops []*circuit.Hop
		for _, r := range nw.relays {
			hops = append(hops, r.only(t))
		}
		hops[at].Fail(cell.ReasonHibernating)
		for i, h := range hops {
			switch {
			case i < at:
				destroyed(t, "hop before", h, 1, cell.ReasonDestroyed)
			case i == at:
				destroyed(t, "hop itself", h, -1, cell.ReasonHibernating)
			default:
				destroyed(t, "hop after", h, 0, cell.ReasonNone)
			}
		}
		if at == 0 {
			destroyed(t, "client", c, 0, cell.ReasonHibernating)
		} else {
			destroyed(t, "client", c, 1, cell.ReasonDestroyed)
		}
		if _, err := io.ReadAll(s); !errors.Is(err, c.Err()) {
			t.Errorf("stream: %v, want the circuit's error", err)
		}
	}
}

// TestReasonsOnTheWire looks at the DESTROY cells themselves, with a raw hop in
// the middle.
func TestReasonsOnTheWire(t *testing.T) {
	tests := []struct {
		name string
		end  func(c *circuit.Circuit, guard, exit *circuit.Hop)
		want cell.Reason
	}{
		{"client closes", func(c *circuit.Circuit, _, _ *circuit.Hop) { c.Close() }, cell.ReasonNone},
		{"guard fails", func(_ *circuit.Circuit, g, _ *circuit.Hop) { g.Fail(cell.ReasonResource) }, cell.ReasonNone},
		{"exit fails", func(_ *circuit.Circuit, _, e *circuit.Hop) { e.Fail(cell.ReasonResource) }, cell.ReasonResource},
	}
	for _, test := range tests {
		nw := newNetwork(t, 3)
		hops := nw.relays[1].goRaw()
		c := newClient(nw).build(3)
		middle := <-hops
		test.end(c, nw.relays[0].only(t), nw.relays[2].only(t))
		if got := await(t, "DESTROY at the middle", middle.ended); got != test.want {
			t.Errorf("%s: the middle is told %v, want %v", test.name, got, test.want)
		}
	}
	nw := newNetwork(t, 3) // the exit's reason, seen by the client
	c := newClient(nw).buildRaw(t, 3)
	nw.relays[2].only(t).Fail(cell.ReasonResource)
	c.expectEnd(cell.ReasonDestroyed)
}

// TestLinkDeath cuts each link in turn.
func TestLinkDeath(t *testing.T) {
	for at := range 3 { // the link before this hop
		nw := newNetwork(t, 3)
		cl := newClient(nw)
		c := cl.build(3)
		s, err := c.Dial(t.Context(), "echo", 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		var hops []*circuit.Hop
		for _, r := range nw.relays {
			hops = append(hops, r.only(t))
		}
		hops[at].Link().Close()
		for i, h := range hops {
			switch {
			case i == at || i == at-1:
				destroyed(t, "end of the link", h, -1, cell.ReasonLinkClosed)
			case i < at:
				destroyed(t, "hop before", h, 1, cell.ReasonDestroyed)
			default:
				destroyed(t, "hop after", h, 0, cell.ReasonNone)
			}
		}
		switch at {
		case 0:
			destroyed(t, "client", c, -1, cell.ReasonLinkClosed)
		case 1:
			destroyed(t, "client", c, 0, cell.ReasonLinkClosed)
		default:
			destroyed(t, "client", c, 1, cell.ReasonDestroyed)
		}
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, c.Err()) {
			t.Errorf("stream: %v, want the circuit's error", err)
		}
		if _, err := circuit.Open(t.Context(), cl.link(), nw.infos()[0], nw.params); err != nil {
			t.Errorf("a new circuit: %v", err)
		}
	}
}

// TestExtendToADeadRelay ends the circuit with the reason of the relay that could
// not reach it.
func TestExtendToADeadRelay(t *testing.T) {
	nw := newNetwork(t, 3)
	nw.relays[1].close()
	c := newClient(nw).build(1)
	err := c.Extend(t.Context(), nw.infos()[1])
	if d, ok := errors.AsType[*circuit.DestroyError](err); !ok || d.Hop != 0 || d.Reason != cell.ReasonConnect {
		t.Errorf("%v, want 'not reachable' from hop 0", err)
	}
	destroyed(t, "circuit", c, 0, cell.ReasonConnect)
}

// TestOpenWithTheWrongKey is a relay that lacks the key that the client knows.
func TestOpenWithTheWrongKey(t *testing.T) {
	nw := newNetwork(t, 2)
	cl := newClient(nw)
	h := nw.infos()[0]
	h.Key = nw.infos()[1].Key
	_, err := circuit.Open(t.Context(), cl.link(), h, nw.params)
	if d, ok := errors.AsType[*circuit.DestroyError](err); !ok || d.Hop != 0 || d.Reason != cell.ReasonKey {
		t.Errorf("%v, want 'circuit key unknown' from hop 0", err)
	}
}

// TestHopOfAnotherPace is a relay that acknowledges at another pace than the
// client's consensus says: one cell of difference is borne.
func TestHopOfAnotherPace(t *testing.T) {
	for inc, ok := range map[int]bool{30: true, 31: true, 32: true, 29: false, 40: false} {
		nw := newNetwork(t, 1)
		cl := newClient(nw)
		ours := nw.params
		nw.params.Congestion = congestion.Default()
		nw.params.Congestion.SendmeInc = inc
		c, err := circuit.Open(t.Context(), cl.link(), nw.infos()[0], ours)
		if (err == nil) != ok {
			t.Errorf("a pace of %d: %v", inc, err)
		}
		if err == nil {
			c.Close()
		}
	}
}

// TestDirectoryKeepsItsPace has a relay whose consensus sets another pace: with
// CREATE_DIR nothing is agreed, and the client may have no consensus yet.
func TestDirectoryKeepsItsPace(t *testing.T) {
	nw := newNetwork(t, 1)
	ours := nw.params
	nw.params.Congestion = congestion.Default()
	nw.params.Congestion.SendmeInc = 40
	r := nw.relays[0]
	r.beginDir = func(s *circuit.Stream) {
		r.work.Go(func() { // ends with the stream
			if s.Connect(connectedNowhere) == nil {
				io.Copy(s, s)
				s.CloseWrite()
			}
		})
	}
	c, err := circuit.OpenDir(t.Context(), newClient(nw).link(), ours)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.DialDir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sent := make([]byte, 1<<20) // many windows, both ways
	go func() { s.Write(sent); s.CloseWrite() }()
	if got, err := io.ReadAll(s); err != nil || len(got) != len(sent) {
		t.Errorf("%d of %d bytes came back: %v", len(got), len(sent), err)
	}
}
