package circuit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"tunic/cell"
	"tunic/circuit"
	"tunic/circuit/handshake"
	"tunic/directory/keys"
)

func TestHandshakeFitsTheFragments(t *testing.T) {
	if handshake.Size != cell.HandshakeSize {
		t.Errorf("a handshake has %d bytes, its fragments %d", handshake.Size, cell.HandshakeSize)
	}
}

func TestThreeHops(t *testing.T) {
	nw := newNetwork(t, 3)
	c := newClient(nw).build(3)
	if c.Len() != 3 {
		t.Errorf("%d hops, want 3", c.Len())
	}
	for i, id := range c.Hops() {
		if id != nw.relays[i].keys.ID {
			t.Errorf("hop %d is another relay", i)
		}
	}
	if err := echo(c); err != nil {
		t.Error(err)
	}
}

// TestEveryLength goes to the most hops and back.
func TestEveryLength(t *testing.T) {
	nw := newNetwork(t, circuit.MaxHops+1)
	cl := newClient(nw)
	for hops := 2; hops <= circuit.MaxHops; hops += 2 {
		c := cl.build(hops)
		if err := echo(c); err != nil {
			t.Errorf("%d hops: %v", hops, err)
		}
		c.Close()
	}
	c := cl.build(circuit.MaxHops)
	if err := c.Extend(t.Context(), nw.infos()[circuit.MaxHops]); !errors.Is(err, circuit.ErrTooLong) {
		t.Errorf("hop %d: %v, want ErrTooLong", circuit.MaxHops, err)
	}
	if err := echo(c); err != nil {
		t.Errorf("after a refused Extend: %v", err)
	}
}

func TestBulkDown(t *testing.T) {
	c := newClient(newNetwork(t, 3)).build(3)
	const kib = 4 << 10
	s, err := c.Dial(t.Context(), "source", kib, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	within(t, "download", func() error {
		h := sha256.New()
		n, err := s.WriteTo(h)
		if err == nil && (n != kib<<10 || [32]byte(h.Sum(nil)) != noiseSum(kib<<10)) {
			t.Errorf("%d bytes came, or others than were sent", n)
		}
		return err
	})
}

func TestBulkUp(t *testing.T) {
	c := newClient(newNetwork(t, 3)).build(3)
	const size = 4 << 20
	s, err := c.Dial(t.Context(), "sum", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	within(t, "upload", func() error {
		if _, err := s.ReadFrom(io.LimitReader(newNoise(), size)); err != nil {
			return err
		}
		if err := s.CloseWrite(); err != nil {
			return err
		}
		got, err := io.ReadAll(s)
		if want := noiseSum(size); !bytes.Equal(got, want[:]) {
			t.Errorf("%d bytes arrived as something else", size)
		}
		return err
	})
}

// TestManyStreamsKeepTheirOrder has streams seal cells of one circuit at once, at
// both ends, while the readers seal SENDMEs between them.
func TestManyStreamsKeepTheirOrder(t *testing.T) {
	c := newClient(newNetwork(t, 3)).build(3)
	const streams, size = 16, 128 << 10
	var wg sync.WaitGroup
	for range streams {
		wg.Go(func() {
			if err := echoNoise(c, size); err != nil {
				t.Error(err)
			}
		})
	}
	within(t, "echoes", func() error { wg.Wait(); return nil })
	if n := c.Streams(); n != 0 {
		t.Errorf("%d streams left, want 0", n)
	}
}

// echoNoise sends size bytes and checks that they come back, at the same time.
func echoNoise(c *circuit.Circuit, size int64) error {
	s, err := c.Begin("echo", 7, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := s.ReadFrom(io.LimitReader(newNoise(), size))
		sent <- errors.Join(err, s.CloseWrite())
	}()
	h := sha256.New()
	if _, err := s.WriteTo(h); err != nil {
		return err
	}
	if [32]byte(h.Sum(nil)) != noiseSum(size) {
		return errors.New("other bytes came back")
	}
	return <-sent
}

func TestHalfCloseAtTheClient(t *testing.T) {
	c := newClient(newNetwork(t, 3)).build(3)
	s, err := c.Dial(t.Context(), "sum", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Write([]byte("abc"))
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("d")); err == nil {
		t.Error("Write works after CloseWrite")
	}
	got, err := io.ReadAll(s)
	if want := sha256.Sum256([]byte("abc")); err != nil || !bytes.Equal(got, want[:]) {
		t.Errorf("read %x, %v after CloseWrite, want %x", got, err, want)
	}
}

func TestHalfCloseAtTheExit(t *testing.T) {
	c := newClient(newNetwork(t, 3)).build(3)
	s, err := c.Dial(t.Context(), "source", 1, 0) // ends its side, then reads on
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, s); n != 1<<10 || err != nil {
		t.Fatalf("read %d bytes, %v", n, err)
	}
	if _, err := s.Write(make([]byte, 64<<10)); err != nil {
		t.Errorf("Write after the peer's orderly end: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := echo(c); err != nil {
		t.Error(err)
	}
}

func TestOptimisticData(t *testing.T) {
	nw := newNetwork(t, 3)
	release := make(chan struct{})
	nw.relays[2].begin = func(s *circuit.Stream, req cell.BeginRequest) {
		nw.relays[2].work.Go(func() {
			<-release // the destination takes its time
			serve(s, req)
		})
	}
	c := newClient(nw).build(3)
	s, err := c.Begin("echo", 7, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Sent() {
		t.Error("Sent before Write")
	}
	if _, err := io.WriteString(s, "early"); err != nil {
		t.Fatal(err)
	}
	if !s.Sent() {
		t.Error("not Sent after Write")
	}
	if _, ok := s.Connected(); ok {
		t.Error("connected before the exit said so")
	}
	close(release)
	within(t, "echo", func() error {
		got := make([]byte, 5)
		_, err := io.ReadFull(s, got)
		if string(got) != "early" {
			t.Errorf("read %q, want what was written before CONNECTED", got)
		}
		return err
	})
	if r, ok := s.Connected(); !ok || r.Addr != netip.MustParseAddr("192.0.2.7") || r.TTL != 300 {
		t.Errorf("connected: %v, %v", r, ok)
	}
}

func TestRefusedStream(t *testing.T) {
	c := newClient(newNetwork(t, 3)).build(3)
	_, err := c.Dial(t.Context(), "refuse", 1, 0)
	if end, ok := errors.AsType[*circuit.EndError](err); !ok || end.Reason != cell.EndRefused {
		t.Errorf("%v, want an EndError with the exit's reason", err)
	}
	s, err := c.Begin("refuse", 1, 0) // with data under way
	if err != nil {
		t.Fatal(err)
	}
	within(t, "write until told", func() error {
		for {
			if _, err := s.Write(make([]byte, 1000)); err != nil {
				if _, ok := errors.AsType[*circuit.EndError](err); !ok {
					t.Errorf("Write: %v, want an EndError", err)
				}
				return nil
			}
		}
	})
	if err := echo(c); err != nil {
		t.Error(err)
	}
}

func TestResetAfterData(t *testing.T) {
	nw := newNetwork(t, 3)
	nw.relays[2].begin = func(s *circuit.Stream, req cell.BeginRequest) {
		nw.relays[2].work.Go(func() {
			s.Connect(cell.ConnectedReply{})
			io.WriteString(s, "half a")
			s.Refuse(cell.EndReset)
		})
	}
	c := newClient(nw).build(3)
	s, err := c.Dial(t.Context(), "reset", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := io.ReadAll(s)
	if end, ok := errors.AsType[*circuit.EndError](err); !ok || end.Reason != cell.EndReset || string(got) != "half a" {
		t.Errorf("read %q, %v; want what came, then the exit's reason", got, err)
	}
}

// TestCloseInTheMiddle closes streams with data under way both ways, after
// CloseWrite too: the circuit goes on, and the exit stops sending.
func TestCloseInTheMiddle(t *testing.T) {
	nw := newNetwork(t, 3)
	c := newClient(nw).build(3)
	for range 10 {
		for _, half := range []bool{false, true} {
			s, err := c.Begin("source", 60<<10, 0)
			if err != nil {
				t.Fatal(err)
			}
			s.Write([]byte("x"))
			if half {
				s.CloseWrite()
			}
			io.ReadFull(s, make([]byte, 10_000))
			s.Close()
		}
	}
	if err := echo(c); err != nil {
		t.Fatal(err)
	}
	hop := nw.relays[2].only(t)
	within(t, "the exit's streams end", func() error {
		for hop.Streams() > 0 {
			if err := echo(c); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestDeadlines(t *testing.T) {
	c := newClient(newNetwork(t, 3)).build(3)
	s, err := c.Dial(t.Context(), "hold", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: %v, want os.ErrDeadlineExceeded", err)
	}
	if err, ok := err.(net.Error); ok && !err.Timeout() {
		t.Error("not a timeout")
	}
	s.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	within(t, "Write with a deadline", func() error {
		_, err := s.Write(make([]byte, 64<<20)) // XOFF or the window stops it
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write: %v, want os.ErrDeadlineExceeded", err)
		}
		return nil
	})
	woken := make(chan error, 1)
	go func() {
		s.SetReadDeadline(time.Time{})
		_, err := s.Read(make([]byte, 1))
		woken <- err
	}()
	within(t, "Read with a deadline that moves", func() error {
		for {
			s.SetReadDeadline(time.Unix(1, 0))
			select {
			case err := <-woken:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Read: %v, want os.ErrDeadlineExceeded", err)
				}
				return nil
			case <-time.After(time.Millisecond):
			}
		}
	})
	if err := echo(c); err != nil { // the stream that waits for XON holds up no other
		t.Error(err)
	}
}

func TestLocalAddrIsOneThatSOCKSServersTake(t *testing.T) {
	var s circuit.Stream
	a, ok := s.LocalAddr().(*net.TCPAddr)
	if !ok || !a.IP.Equal(net.IPv4zero) || a.Port != 0 {
		t.Errorf("LocalAddr is %T %v", s.LocalAddr(), s.LocalAddr())
	}
}

func TestResolve(t *testing.T) {
	c := newClient(newNetwork(t, 3)).build(3)
	r, err := c.Resolve(t.Context(), cell.ResolveRequest{Host: "two.example"})
	if err != nil || len(r.Answers) != 2 || r.Answers[0].Addr != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("two.example: %v, %v", r, err)
	}
	r, err = c.Resolve(t.Context(), cell.ResolveRequest{Host: "192.0.2.1", Reverse: true})
	if err != nil || r.Answers[0].Name != "name.example" {
		t.Errorf("reverse: %v, %v", r, err)
	}
	r, err = c.Resolve(t.Context(), cell.ResolveRequest{Host: "none.example"})
	if err != nil || r.Answers[0].Kind != cell.AnswerNotFound {
		t.Errorf("none.example: %v, %v", r, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Resolve(ctx, cell.ResolveRequest{Host: "never.example"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("never.example: %v, want the context's error", err)
	}
	if _, err := c.Resolve(t.Context(), cell.ResolveRequest{Host: "Upper.example"}); !errors.Is(err, cell.ErrMalformed) {
		t.Errorf("a name that cannot be asked for: %v", err)
	}
	if err := echo(c); err != nil {
		t.Error(err)
	}
}

func TestDirectory(t *testing.T) {
	nw := newNetwork(t, 3)
	cl := newClient(nw)
	dir, err := circuit.OpenDir(t.Context(), cl.link(), nw.params)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*circuit.Circuit{"CREATE_DIR": dir, "three hops": cl.build(3)} {
		s, err := c.DialDir(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(s)
		if err != nil || string(got) != "directory\n" {
			t.Errorf("%s: read %q, %v", name, got, err)
		}
		s.Close()
	}
	if _, err := dir.Begin("echo", 7, 0); !errors.Is(err, circuit.ErrNotAllowed) {
		t.Errorf("Begin: %v, want ErrNotAllowed", err)
	}
	if _, err := dir.Resolve(t.Context(), cell.ResolveRequest{Host: "two.example"}); !errors.Is(err, circuit.ErrNotAllowed) {
		t.Errorf("Resolve: %v, want ErrNotAllowed", err)
	}
	if err := dir.Extend(t.Context(), nw.infos()[1]); !errors.Is(err, circuit.ErrNotAllowed) {
		t.Errorf("Extend: %v, want ErrNotAllowed", err)
	}
	if dir.Hops()[0] != nw.relays[0].keys.ID {
		t.Error("the hop is not the relay that the link leads to")
	}
}

func TestExtendWaitsForNobodyElse(t *testing.T) {
	nw := newNetwork(t, 3)
	asked := make(chan *circuit.Hop, 1)
	nw.relays[0].extend = func(h *circuit.Hop, _ keys.RelayID) { asked <- h }
	cl := newClient(nw)
	c := cl.build(1)
	done := make(chan error, 1)
	go func() { done <- c.Extend(t.Context(), nw.infos()[1]) }()
	h := <-asked
	if err := c.Extend(t.Context(), nw.infos()[2]); !errors.Is(err, circuit.ErrBusy) {
		t.Errorf("second Extend: %v, want ErrBusy", err)
	}
	if _, err := c.DialDir(t.Context()); !errors.Is(err, circuit.ErrBusy) {
		t.Errorf("stream meanwhile: %v, want ErrBusy", err)
	}
	nw.relays[0].extendTo(h, nw.infos()[1].ID)
	if err := <-done; err != nil {
		t.Error(err)
	}
	s, err := c.DialDir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := c.Extend(t.Context(), nw.infos()[2]); !errors.Is(err, circuit.ErrBusy) {
		t.Errorf("Extend after a stream: %v, want ErrBusy", err)
	}
}
