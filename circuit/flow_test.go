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
	nw := newNetwork(t, 3)
	exit := nw.relays[2]
	read := make(chan struct{})
	sum := make(chan [32]byte, 1)
	exit.begin = func(s *circuit.Stream, req cell.BeginRequest) {
		exit.work.Go(func() {
			if req.Host == "echo" {
				serve(s, req)
				return
			}
			defer s.Close()
			s.Connect(cell.ConnectedReply{})
			<-read
			h := sha256.New()
			io.Copy(h, s)
			sum <- [32]byte(h.Sum(nil))
		})
	}
	c := newClient(nw).build(3)
	s, err := c.Dial(t.Context(), "slow", 1, 0)
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
}

// skipped returns noise from byte n on.
func skipped(n int64) *noise {
	g := newNoise()
	io.CopyN(io.Discard, g, n)
	return g
}

// TestXOffAndXOn looks at the messages: XOFF when the limit is passed for a while,
// once, and XON when half of it is read.
func TestXOffAndXOn(t *testing.T) {
	inVirtualTime(t, 3, func(t *testing.T, nw *network) {
		exit := nw.relays[2]
		read := make(chan int64)
		exit.begin = func(s *circuit.Stream, req cell.BeginRequest) {
			exit.work.Go(func() {
				defer s.Close()
				s.Connect(cell.ConnectedReply{})
				for n := range read {
					io.CopyN(io.Discard, s, n)
				}
			})
		}
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
			read <- circuit.XOffLimit/2 + 2002
			synctest.Wait()
			r.expectOnlySendmes() // one byte more than half is left
			read <- 1
			if m := r.expectAfterSendmes(); m.Command != cell.XOn || m.Stream != 1 || string(m.Data) != "\x00\x00\x00\x00" {
				t.Errorf("got %v for stream %d with % x, want XON", m.Command, m.Stream, m.Data)
			}
			r.upload(circuit.XOffLimit / 2)
		}
		close(read)
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

// TestSendmeForEvery31stCell counts and checks the tags.
func TestSendmeForEvery31stCell(t *testing.T) {
	nw := newNetwork(t, 1)
	hops := nw.relays[0].goRaw()
	c := newClient(nw).build(1)
	h := <-hops
	s, err := c.Begin("any", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	id := h.connect(t)
	for i := 1; i <= 3*31; i++ {
		tag := h.send(cell.Data, id, []byte("x"))
		if i%31 != 0 {
			continue
		}
		m := h.expect(t, cell.Sendme)
		if string(m.Data) != string(tag[:]) || m.Stream != 0 {
			t.Errorf("SENDME after cell %d has another tag", i)
		}
	}
	s.Close()
	h.expect(t, cell.End)
	for i := 1; i <= 31; i++ { // cells of a closed stream count as well
		tag := h.send(cell.Data, id, []byte("x"))
		if i == 31 {
			if m := h.expect(t, cell.Sendme); string(m.Data) != string(tag[:]) {
				t.Error("SENDME for a closed stream's cells has another tag")
			}
		}
	}
	if err := c.Err(); err != nil {
		t.Error(err)
	}
}

// TestWindowStopsTheSender has a peer that acknowledges nothing, then one SENDME.
func TestWindowStopsTheSender(t *testing.T) {
	nw := newNetwork(t, 1)
	hops := nw.relays[0].goRaw()
	c := newClient(nw).build(1)
	h := <-hops
	s, err := c.Begin("any", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.connect(t)
	const window, inc = 1024, 31
	go s.Write(make([]byte, 4<<20))
	var marked []rawMessage
	count := func(n int) {
		t.Helper()
		for range n {
			m := h.expect(t, cell.Data)
			switch len(m.Data) {
			case cell.MaxData:
			case cell.MaxAckedData:
				marked = append(marked, m)
			default:
				t.Fatalf("a cell of %d bytes, want %d or %d", len(m.Data), cell.MaxData, cell.MaxAckedData)
			}
		}
	}
	count(window)
	if len(marked) != window/inc {
		t.Fatalf("%d cells leave room for random padding, want every %dth: %d", len(marked), inc, window/inc)
	}
	h.send(cell.Sendme, 0, marked[0].tag[:])
	count(inc)
	s.Close()
	if m := await(t, "END", h.got); m.Command != cell.End {
		t.Errorf("got %v, want no DATA beyond the window, then END", m.Command)
	}
}

// TestRandomPadding looks behind the data of cells.
func TestRandomPadding(t *testing.T) {
	nw := newNetwork(t, 1)
	hops := nw.relays[0].goRaw()
	c := newClient(nw).build(1)
	h := <-hops
	s, err := c.Begin("any", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.connect(t)
	seen := map[string]bool{}
	for i := 1; i <= 4*31; i++ {
		s.Write([]byte("x"))
		m := h.expect(t, cell.Data)
		padding := m.padding()
		tail := padding[len(padding)-16:]
		for _, b := range padding[:len(padding)-16] {
			if b != 0 {
				t.Fatalf("cell %d has padding that is neither zeros nor in its last 16 bytes", i)
			}
		}
		random := string(tail) != string(make([]byte, 16))
		if random != (i%31 == 0) {
			t.Errorf("cell %d: random padding %v", i, random)
		}
		if random && seen[string(tail)] {
			t.Errorf("cell %d repeats random padding", i)
		}
		seen[string(tail)] = true
	}
}

// TestFirstCellsAreEarly counts the RELAY_EARLY cells that reach the exit: those
// that made the middle a hop are among the 24.
func TestFirstCellsAreEarly(t *testing.T) {
	nw := newNetwork(t, 3)
	hops := nw.relays[2].goRaw()
	c := newClient(nw).build(3)
	h := <-hops
	s, err := c.Begin("any", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		want := cell.Relay
		if i < circuit.MaxEarly-cell.Fragments {
			want = cell.RelayEarly
		}
		if m := await(t, "a cell", h.got); m.outer != want {
			t.Errorf("cell %d at the exit is %v, want %v", i, m.outer, want)
		}
		s.Write([]byte("x"))
	}
	one := newNetwork(t, 1) // for the first hop itself none is needed
	hops = one.relays[0].goRaw()
	c = newClient(one).build(1)
	h = <-hops
	if _, err := c.Begin("any", 1, 0); err != nil {
		t.Fatal(err)
	}
	if m := h.expect(t, cell.Begin); m.outer != cell.Relay {
		t.Errorf("a cell for the first hop is %v, want RELAY", m.outer)
	}
}
