package relay

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/circuit"
)

// pipeStream is a stream over an in-memory connection; its peer is the client.
type pipeStream struct {
	in  *io.PipeReader // what the client sends
	out *io.PipeWriter // what the client reads

	mu      sync.Mutex
	refused []cell.EndReason
	closed  chan struct{} // closed by CloseWrite
	over    chan struct{} // closed when the client gives up
	moved   atomic.Int64
}

// newPipeStream returns a stream and the client's ends.
func newPipeStream() (s *pipeStream, write *io.PipeWriter, read *io.PipeReader) {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	return &pipeStream{in: inR, out: outW, closed: make(chan struct{}), over: make(chan struct{})}, inW, outR
}

func (s *pipeStream) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(s.counting(w), struct{ io.Reader }{s.in})
}

func (s *pipeStream) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(s.counting(s.out), struct{ io.Reader }{r})
}

// counting returns w, counting what is written.
func (s *pipeStream) counting(w io.Writer) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		n, err := w.Write(p)
		s.moved.Add(int64(n))
		return n, err
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (s *pipeStream) Moved() (int64, int64) { return s.moved.Load(), 0 }

func (s *pipeStream) CloseWrite() error     { close(s.closed); return s.out.Close() }
func (s *pipeStream) Done() <-chan struct{} { return s.over }
func (s *pipeStream) Refuse(reason cell.EndReason) {
	s.mu.Lock()
	s.refused = append(s.refused, reason)
	s.mu.Unlock()
	s.in.CloseWithError(errStreamGone)
	s.out.CloseWithError(errStreamGone)
}

var errStreamGone = errors.New("stream gone")

// tcpPair returns the exit's end of a connection and the destination's.
func tcpPair(t *testing.T) (here, there *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() { // ends with the dial below
		c, _ := l.Accept()
		accepted <- c
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	there = (<-accepted).(*net.TCPConn)
	t.Cleanup(func() { c.Close(); there.Close() })
	return c.(*net.TCPConn), there
}

func TestHalfCloseBothWays(t *testing.T) {
	here, there := tcpPair(t)
	s, write, read := newPipeStream()
	reason := make(chan cell.EndReason, 1)
	go func() { reason <- relayBytes(s, here) }() // ends with both directions
	there.SetDeadline(time.Now().Add(5 * time.Second))

	// The client ends first: the destination reads the end, and still answers.
	write.Write([]byte("question"))
	write.Close()
	if b, err := io.ReadAll(there); err != nil || string(b) != "question" {
		t.Fatalf("destination read %q, %v", b, err)
	}
	there.Write([]byte("answer"))
	there.CloseWrite()
	if b, err := io.ReadAll(read); err != nil || string(b) != "answer" {
		t.Fatalf("client read %q, %v", b, err)
	}
	if r := <-reason; r != 0 {
		t.Errorf("ended with %v", r)
	}
	<-s.closed
	if len(s.refused) != 0 {
		t.Errorf("refused with %v", s.refused)
	}
}

func TestDestinationEndsFirst(t *testing.T) {
	here, there := tcpPair(t)
	s, write, read := newPipeStream()
	reason := make(chan cell.EndReason, 1)
	go func() { reason <- relayBytes(s, here) }() // ends with both directions
	there.SetDeadline(time.Now().Add(5 * time.Second))
	there.CloseWrite()
	if b, err := io.ReadAll(read); err != nil || len(b) != 0 {
		t.Fatalf("client read %q, %v", b, err)
	}
	write.Write([]byte("still here"))
	write.Close()
	if b, err := io.ReadAll(there); err != nil || string(b) != "still here" {
		t.Fatalf("destination read %q, %v", b, err)
	}
	if r := <-reason; r != 0 {
		t.Errorf("ended with %v", r)
	}
}

func TestResetIsTold(t *testing.T) {
	here, there := tcpPair(t)
	s, _, _ := newPipeStream()
	reason := make(chan cell.EndReason, 1)
	go func() { reason <- relayBytes(s, here) }() // ends with the reset
	there.SetLinger(0)
	there.Close()
	if r := <-reason; r != cell.EndReset {
		t.Errorf("ended with %v, want %v", r, cell.EndReset)
	}
	if len(s.refused) == 0 || s.refused[0] != cell.EndReset {
		t.Errorf("refused with %v", s.refused)
	}
}

// Where the circuit is lost the destination sees a reset; where the client closed
// the stream, an end behind all that was sent.
func TestClientGoes(t *testing.T) {
	rows := []struct {
		err   error
		clean bool
	}{{errors.New("circuit lost"), false}, {&circuit.EndError{Reason: cell.EndMisc}, true}}
	for _, row := range rows {
		here, there := tcpPair(t)
		s, write, _ := newPipeStream()
		reason := make(chan cell.EndReason, 1)
		go func() { reason <- relayBytes(s, here) }() // ends with the stream
		write.Write([]byte("last words"))
		write.CloseWithError(row.err)
		there.SetDeadline(time.Now().Add(5 * time.Second))
		b, err := io.ReadAll(there)
		if row.clean != (err == nil) || row.clean && string(b) != "last words" {
			t.Errorf("%v: the destination read %q, %v", row.err, b, err)
		}
		if r := <-reason; r != cell.EndMisc {
			t.Errorf("%v: ended with %v", row.err, r)
		}
	}
}

// A destination that has all that was sent and says nothing does not keep a stream
// whose client has gone.
func TestClientGoneAfterItsEnd(t *testing.T) {
	here, there := tcpPair(t)
	s, write, _ := newPipeStream()
	reason := make(chan cell.EndReason, 1)
	go func() { reason <- relayBytes(s, here) }() // ends with the client
	write.Write([]byte("last words"))
	write.Close()
	there.SetDeadline(time.Now().Add(5 * time.Second))
	if b, err := io.ReadAll(there); err != nil || string(b) != "last words" {
		t.Errorf("the destination read %q, %v", b, err)
	}
	close(s.over)
	select {
	case r := <-reason:
		if r != cell.EndMisc {
			t.Errorf("ended with %v", r)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the connection stays")
	}
}

// A destination that reads nothing does not keep a stream whose client has gone.
func TestClientGoneAndDestinationStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe() // a write waits for a read that never comes
		s, write, _ := newPipeStream()
		reason := make(chan cell.EndReason, 1)
		go func() { reason <- relayBytes(s, here) }() // ends some time after the client
		write.Write([]byte("x"))
		time.Sleep(30 * time.Minute)
		close(s.over)
		gone := time.Now()
		if r := <-reason; r != cell.EndMisc {
			t.Errorf("ended with %v", r)
		}
		if d := time.Since(gone); d > 2*watchEvery {
			t.Errorf("ended %v after the client", d)
		}
		there.Close()
	})
}

// A connection without a byte ends after its limit, not before, and bytes in
// either direction put that off.
func TestIdleStreamsEnd(t *testing.T) {
	for _, half := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			here, there := net.Pipe()
			s, write, read := newPipeStream()
			reason := make(chan cell.EndReason, 1)
			go func() { reason <- relayBytes(s, here) }()     // ends when idle
			go io.Copy(io.Discard, there)                     // ends when here closes
			go io.Copy(io.Discard, struct{ io.Reader }{read}) // ends with the stream
			limit := idleOpen
			if half {
				write.Close()
				limit = idleHalf
			}
			for range 3 {
				time.Sleep(limit - 2*watchEvery)
				there.Write([]byte("x"))
			}
			last := time.Now()
			if r := <-reason; r != cell.EndTimeout {
				t.Errorf("half %v: ended with %v", half, r)
			}
			if d := time.Since(last); d < limit || d > limit+2*watchEvery {
				t.Errorf("half %v: ended after %v without a byte, want %v", half, d, limit)
			}
			there.Close()
			write.Close()
		})
	}
}
