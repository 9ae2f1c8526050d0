package circuit_test

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/circuit"
)

// TestXOffStopsOneStream fills a stream that nobody reads, goes on with another,
// and reads the first to its end.
func TestXOffStopsOneStream(t *testing.T) {
	inVirtualTime(t, 3, func(t *testing.T, nw *network) {
		read := make(chan struct{})
		sum := make(chan [32]byte, 1)
		nw.relays[2].serveAny(func(s *circuit.Stream) {
			<-read
			h := sha256.New()
			io.Copy(h, s)
			sum <- [32]byte(h.Sum(nil))
		})
		c := newClient(nw).build(3)
		s, err := c.Dial(t.Context(), "any", 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		const size = 4 << 20
		noise := newNoise()
		s.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		sent, err := s.ReadFrom(io.LimitReader(noise, size))
		if !errors.Is(err, os.ErrDeadlineExceeded) || sent < circuit.XOffLimit || sent > size/2 {
			t.Fatalf("sent %d bytes of %d, %v; want XOFF to stop it", sent, size, err)
		}
		if err := echo(c); err != nil {
			t.Fatalf("another stream: %v", err)
		}
		close(read)
		s.SetWriteDeadline(time.Time{})
		within(t, "the rest", func() error {
			_, err := s.ReadFrom(io.LimitReader(skipped(sent), size-sent))
			return errors.Join(err, s.CloseWrite())
		})
		if got := await(t, "the digest", sum); got != noiseSum(size) {
			t.Error("the exit read other bytes than were sent")
		}
	})
}

// skipped returns noise from byte n on.
func skipped(n int64) *noise {
	g := newNoise()
	io.CopyN(io.Discard, g, n)
	return g
}

// TestXOffAndXOn looks at the messages: XOFF when the limit is passed for a while,
// once, and XON when all is read.
func TestXOffAndXOn(t *testing.T) {
	inVirtualTime(t, 3, func(t *testing.T, nw *network) {
		read := make(chan int64)
		nw.relays[2].serveAny(func(s *circuit.Stream) {
			for n := range read {
				io.CopyN(io.Discard, s, n)
			}
		})
		r := newClient(nw).buildRaw(t, 3)
		r.begin(exitHop, 1, "any", 1)
		r.upload(circuit.XOffLimit)
		time.Sleep(time.Second)
		r.expectOnlySendmes() // the limit is not passed
		for range 2 {
			r.upload(1)
			time.Sleep(circuit.XOffGrace - 1)
			r.upload(1)
			r.expectOnlySendmes() // it is, but not for long
			time.Sleep(time.Nanosecond)
			r.upload(1)
			if m := r.expectAfterSendmes(); m.Command != cell.XOff || m.Stream != 1 || len(m.Data) != 0 {
				t.Errorf("got %v for stream %d with %d bytes, want XOFF", m.Command, m.Stream, len(m.Data))
			}
			r.upload(1000)
			time.Sleep(time.Second)
			r.upload(1000) // what is under way
			r.expectOnlySendmes()
			read <- circuit.XOffLimit + 2002
			synctest.Wait()
			r.expectOnlySendmes() // one byte is left
			read <- 1
			r.expectXOn(0, 0)
			r.upload(circuit.XOffLimit)
		}
		close(read)
		r.lc.Destroy(cell.ReasonNone)
	})
}

// expectXOn waits for XON on stream 1, with a rate between these.
func (r *raw) expectXOn(low, high cell.XOnRate) {
	r.t.Helper()
	m := r.expectAfterSendmes()
	if got, err := cell.ParseXOn(m.Data); m.Command != cell.XOn || m.Stream != 1 || err != nil || got < low || got > high {
		r.t.Errorf("got %v for stream %d with rate %d, want XON and %d to %d", m.Command, m.Stream, got, low, high)
	}
}

// TestXOnAdvises has an exit's user read at a pace, then at another.
func TestXOnAdvises(t *testing.T) {
	inVirtualTime(t, 3, func(t *testing.T, nw *network) {
		const piece = 10_000
		pause := make(chan time.Duration, 1000) // before each piece
		nw.relays[2].serveAny(func(s *circuit.Stream) {
			for d := range pause {
				time.Sleep(d)
				io.CopyN(io.Discard, s, piece)
			}
		})
		r := newClient(nw).buildRaw(t, 3)
		r.begin(exitHop, 1, "any", 1)
		r.upload(50 * piece)
		time.Sleep(circuit.XOffGrace)
		r.upload(piece)
		if m := r.expectAfterSendmes(); m.Command != cell.XOff {
			t.Errorf("got %v, want XOFF", m.Command)
		}
		time.Sleep(time.Hour) // in which nobody reads; it does not count
		for range 51 {
			pause <- 10 * time.Millisecond
		}
		r.expectXOn(980, 1_000)
		for range 50 { // twice as fast, as soon as there is something
			r.upload(piece)
			pause <- 5 * time.Millisecond
			time.Sleep(10 * time.Millisecond)
		}
		r.expectXOn(1_640, 1_667) // the first sample, smoothed with those before
		close(pause)
		r.lc.Destroy(cell.ReasonNone)
	})
}

// TestXOffAtOnce does not wait when very much is unread.
func TestXOffAtOnce(t *testing.T) {
	inVirtualTime(t, 3, func(t *testing.T, nw *network) {
		r := newClient(nw).buildRaw(t, 3)
		r.begin(exitHop, 1, "hold", 1)
		r.upload(4 * circuit.XOffLimit)
		r.expectOnlySendmes()
		r.upload(1)
		if m := r.expectAfterSendmes(); m.Command != cell.XOff {
			t.Errorf("got %v, want XOFF", m.Command)
		}
		r.lc.Destroy(cell.ReasonNone)
	})
}

// upload sends n bytes on stream 1.
func (r *raw) upload(n int) {
	full := make([]byte, cell.MaxData)
	for n > 0 {
		k := min(n, len(full))
		r.send(exitHop, cell.Data, 1, full[:k])
		n -= k
	}
}

// expectAfterSendmes returns the next message that is no SENDME.
func (r *raw) expectAfterSendmes() rawMessage {
	r.t.Helper()
	for {
		if m := await(r.t, "a message", r.got); m.Command != cell.Sendme {
			return m
		}
	}
}

// expectOnlySendmes makes a round trip to the exit and fails on anything but
// SENDMEs before its answer.
func (r *raw) expectOnlySendmes() {
	r.t.Helper()
	r.send(exitHop, cell.Resolve, 99, append([]byte{0, 12}, "none.example"...))
	if m := r.expectAfterSendmes(); m.Command != cell.Resolved {
		r.t.Errorf("got %v unasked for", m.Command)
	}
}
