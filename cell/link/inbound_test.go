package link

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"tunic/cell"
)

// connections returns two ends of a connection of each kind: one whose socket the
// reader can watch, one behind which it knows none.
func connections(t *testing.T) map[string][2]net.Conn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	all := map[string][2]net.Conn{}
	for _, kind := range []string{"socket", "wrapped"} {
		near, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		far, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { near.Close(); far.Close() })
		if kind == "wrapped" {
			near = struct{ net.Conn }{near}
		}
		all[kind] = [2]net.Conn{near, far}
	}
	return all
}

// tryNext waits for a record for a moment.
func tryNext(in *inbound) ([]byte, error) {
	in.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	return in.next()
}

// A link that waits holds no buffer; one with half a record does.
func TestWaitingHoldsNoBuffer(t *testing.T) {
	for kind, c := range connections(t) {
		t.Run(kind, func(t *testing.T) {
			a, z := sessions(t)
			in, s := newInbound(c[0], newOpener(a.Recv)), newSealer(z.Send)
			if (in.raw != nil) != (kind == "socket") {
				t.Skipf("this system has no way to watch a socket")
			}
			for round := range 3 {
				if _, err := tryNext(in); !errors.Is(err, os.ErrDeadlineExceeded) || in.buf != nil {
					t.Fatalf("round %d: %v, with a buffer: %v; want a timeout and none", round, err, in.buf != nil)
				}
				rec := record(t, s, 3, 1)
				c[1].Write(rec[:100])
				if _, err := tryNext(in); !errors.Is(err, os.ErrDeadlineExceeded) || in.rest == nil || in.buf != nil {
					t.Fatalf("round %d: %v, with a small buffer: %v, a large one: %v; want a timeout and a small one", round, err, in.rest != nil, in.buf != nil)
				}
				c[1].Write(rec[100:])
				if cells, err := tryNext(in); err != nil || len(cells) != 3*cell.Size {
					t.Fatalf("round %d: %d bytes, %v", round, len(cells), err)
				}
			}
		})
	}
}

// Records come whole however the connection cuts or joins them.
func TestRecordsCutAndJoined(t *testing.T) {
	for kind, c := range connections(t) {
		for _, step := range []int{1, 2, 3, 517, 535, 1000, 16_045, 100_000} {
			a, z := sessions(t)
			in, s := newInbound(c[0], newOpener(a.Recv)), newSealer(z.Send)
			var all []byte
			lengths := []int{1, 31, 2, 30, 31, 31, 7}
			for i, n := range lengths {
				all = append(all, record(t, s, n, byte(i))...)
			}
			if step < 3 {
				all, lengths = all[:535], lengths[:1] // slow enough
			}
			go func() {
				for len(all) > 0 {
					n := min(step, len(all))
					c[1].Write(all[:n])
					all = all[n:]
				}
			}()
			for i, n := range lengths {
				in.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
				cells, err := in.next()
				if err != nil || !bytes.Equal(cells, bytes.Repeat([]byte{byte(i)}, n*cell.Size)) {
					t.Fatalf("%s, %d bytes at a time: record %d: %d bytes, %v", kind, step, i, len(cells), err)
				}
			}
		}
	}
}

// poke ends a wait, and every later one; what came before it is still read.
func TestPoke(t *testing.T) {
	for kind, c := range connections(t) {
		t.Run(kind, func(t *testing.T) {
			a, z := sessions(t)
			in, s := newInbound(c[0], newOpener(a.Recv)), newSealer(z.Send)
			in.own = true
			ended := make(chan error, 1)
			go func() { _, err := in.next(); ended <- err }()
			in.poke()
			select {
			case err := <-ended:
				if !errors.Is(err, errPoked) {
					t.Errorf("%v, want errPoked", err)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("next does not end")
			}
			c[1].Write(record(t, s, 1, 1)[:50])
			if _, err := in.next(); !errors.Is(err, errPoked) {
				t.Errorf("%v, want errPoked again", err)
			}
		})
	}
}

// The read deadline is set seldom and serves three purposes; what it means when it
// passes depends on the state.
func TestExpiredDeadline(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		need  int
		since time.Duration // ago; 0: not noted yet
		err   error
		next  time.Duration // the deadline from now; 0: none
	}{
		"nothing came":           {0, 0, nil, 0},
		"a record began":         {535, 0, nil, 2 * stallTime},
		"it is young":            {535, time.Second, nil, stallTime - time.Second},
		"it stalled":             {535, stallTime, errStalled, 0},
		"it stalled for an hour": {535, time.Hour, errStalled, 0},
	} {
		near, far := net.Pipe()
		in := &inbound{conn: near, own: true, need: c.need}
		if c.since > 0 {
			in.since = now.Add(-c.since)
		}
		if err := in.expired(now); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if c.err == nil && (c.next == 0) != in.deadline.IsZero() || c.next > 0 && in.deadline.Sub(now) != c.next {
			t.Errorf("%s: deadline %v from now, want %v", name, in.deadline.Sub(now), c.next)
		}
		near.Close()
		far.Close()
	}
}
