package socket_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"tunic/cell/socket"
)

// Write takes what there is room for and then says so.
func TestWriteDoesNotWait(t *testing.T) {
	near, far := pair(t)
	raw := socket.Raw(near)
	if raw == nil {
		t.Skip("not on this system")
	}
	wrote, failed := fill(t, raw)
	if !errors.Is(failed, socket.ErrWouldBlock) {
		t.Errorf("%v after %d bytes, want ErrWouldBlock", failed, wrote)
	}
	near.Close()
	if n, err := io.Copy(io.Discard, far); err != nil || n != int64(wrote) {
		t.Errorf("%d bytes came, %v; want %d", n, err, wrote)
	}
}

// A Writer writes every byte of many buffers, over a socket that is full at times and
// over a connection that is no socket.
func TestWriterWritesEverything(t *testing.T) {
	near, far := pair(t)
	for kind, conn := range map[string]net.Conn{"socket": near, "wrapped": struct{ net.Conn }{near}} {
		rng := rand.New(rand.NewPCG(1, 2))
		var bufs net.Buffers
		var want []byte
		for range 100 {
			b := make([]byte, 1+rng.IntN(200<<10))
			b[0], b[len(b)-1] = byte(rng.Uint32()), byte(rng.Uint32())
			bufs, want = append(bufs, b), append(want, b...)
		}
		got := make(chan []byte, 1)
		go func() { // ends when all has come, or the connection closes
			b := make([]byte, len(want))
			io.ReadFull(far, b)
			got <- b
		}()
		w := socket.NewWriter(conn)
		if n, err := w.WriteBuffers(&bufs); err != nil || n != int64(len(want)) {
			t.Fatalf("%s: %d bytes, %v; want %d", kind, n, err, len(want))
		}
		if !bytes.Equal(<-got, want) {
			t.Errorf("%s: other bytes came", kind)
		}
	}
}

// A Writer keeps to the write deadline, and says what it wrote before.
func TestWriterKeepsToTheDeadline(t *testing.T) {
	near, _ := pair(t)
	near.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	bufs := net.Buffers{make([]byte, 64<<20)} // more than the kernels take
	n, err := socket.NewWriter(near).WriteBuffers(&bufs)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 64<<20 {
		t.Errorf("%d bytes, %v; want fewer, and a deadline that has passed", n, err)
	}
}

func TestWriterSaysThatThePeerIsGone(t *testing.T) {
	near, far := pair(t)
	far.SetLinger(0)
	far.Close()
	near.SetWriteDeadline(time.Now().Add(10 * time.Second))
	w := socket.NewWriter(near)
	for {
		bufs := net.Buffers{make([]byte, 100)}
		if _, err := w.WriteBuffers(&bufs); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("no error, though the peer has gone")
		} else if err != nil {
			return
		}
	}
}
