package relay

import (
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"tunic/cell"
)

// breakWhileSending runs relayBytes for a client that sends without end, while the
// destination sends an answer and then does what end says, leaving unread what
// came. It returns what the client reads, and the stream.
func breakWhileSending(t *testing.T, end func(there *net.TCPConn)) (answer string, s *pipeStream, reason cell.EndReason) {
	t.Helper()
	here, there := tcpPair(t)
	s, write, read := newPipeStream()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { // ends when the stream does
		for block := make([]byte, 4<<10); ; {
			if _, err := write.Write(block); err != nil {
				return
			}
		}
	})
	ended := make(chan cell.EndReason, 1)
	wg.Go(func() {
		r := relayBytes(s, here)
		s.Refuse(r) // as serve does
		ended <- r
	})
	if _, err := io.ReadFull(there, make([]byte, 1)); err != nil { // it does send
		t.Fatal(err)
	}
	there.Write([]byte("answer"))
	end(there)
	b, err := io.ReadAll(read)
	if err != nil && !errors.Is(err, errStreamGone) {
		t.Fatal(err)
	}
	return string(b), s, <-ended
}

// tries is how often a test does what goes another way when the system tells the
// writer of a connection's end before the reader, or the reader first.
const tries = 100

func TestResetIsNoOrderlyEndWhileTheClientSends(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("this system does not tell")
	}
	for range tries {
		_, s, reason := breakWhileSending(t, func(there *net.TCPConn) {
			there.SetLinger(0)
			there.Close()
		})
		if reason != cell.EndReset || s.refused[0] != cell.EndReset {
			t.Fatalf("ended with %v, refused with %v", reason, s.refused)
		}
		select {
		case <-s.closed:
			t.Fatal("the client reads an orderly end")
		default:
		}
	}
}

// A server that has heard enough answers, closes, and resets what still comes.
func TestEarlyAnswerArrivesWhole(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("this system does not tell")
	}
	for range tries {
		answer, s, _ := breakWhileSending(t, func(there *net.TCPConn) {
			there.CloseWrite()
			there.Close()
		})
		if answer != "answer" {
			t.Fatalf("the client read %q", answer)
		}
		select {
		case <-s.closed:
		default:
			t.Fatal("the answer has no orderly end")
		}
	}
}

func TestBroken(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("this system does not tell")
	}
	read := func(c net.Conn) error { _, err := c.Read(make([]byte, 1)); return err }
	t.Run("reset told to the writer", func(t *testing.T) {
		here, there := tcpPair(t)
		there.SetLinger(0)
		there.Close()
		if _, err := here.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
		if err := read(here); err != io.EOF || !broken(here) {
			t.Errorf("read %v, broken %v", err, broken(here))
		}
	})
	t.Run("orderly end", func(t *testing.T) {
		here, there := tcpPair(t)
		there.CloseWrite()
		if err := read(here); err != io.EOF || broken(here) {
			t.Errorf("read %v, broken %v", err, broken(here))
		}
	})
	t.Run("orderly end, then a reset", func(t *testing.T) {
		here, there := tcpPair(t)
		there.CloseWrite()
		here.Write([]byte("x")) // nobody reads it: closing resets
		there.Close()
		if err := read(here); err != io.EOF || broken(here) {
			t.Errorf("read %v, broken %v", err, broken(here))
		}
	})
	t.Run("no TCP", func(t *testing.T) {
		here, there := net.Pipe()
		there.Close()
		if err := read(here); err != io.EOF || broken(here) {
			t.Errorf("read %v, broken %v", err, broken(here))
		}
		here.Close()
	})
}
