package linktest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

var (
	here  = netip.MustParseAddrPort("10.0.0.1:1000")
	there = netip.MustParseAddrPort("10.0.0.2:2000")
)

func TestMemoryConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := NewConn(here, there)
		if a.RemoteAddr().String() != there.String() || b.RemoteAddr().String() != here.String() || a.LocalAddr().String() != here.String() {
			t.Errorf("addresses %v, %v", a.RemoteAddr(), b.RemoteAddr())
		}
		sent := bytes.Repeat([]byte("tunic"), 100_000) // more than the buffer takes
		go func() {
			a.Write(sent)
			a.(interface{ CloseWrite() error }).CloseWrite()
		}()
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes, %v", len(got), len(sent), err)
		}
		if _, err := b.Write([]byte("back")); err != nil { // the other direction is open
			t.Errorf("write back: %v", err)
		}
		if n, err := io.ReadFull(a, make([]byte, 4)); err != nil {
			t.Errorf("%d bytes back, %v", n, err)
		}
		b.Close()
		if _, err := a.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read from a closed peer: %v", err)
		}
		if _, err := a.Write([]byte{1}); err == nil {
			t.Error("write to a closed peer succeeds")
		}
	})
}

func TestMemoryDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := NewConn(here, there)
		defer b.Close()
		began := time.Now()
		a.SetReadDeadline(began.Add(time.Minute))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("read: %v after %v", err, time.Since(began))
		}
		a.SetDeadline(time.Now().Add(time.Minute))
		if n, err := a.Write(make([]byte, memoryBuffer+1)); n != memoryBuffer || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %d, %v", n, err)
		}
		a.SetDeadline(time.Time{})
		go func() { time.Sleep(time.Hour); a.SetReadDeadline(time.Now()) }()
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read whose deadline moved: %v", err)
		}
		a.Close()
	})
}

func TestMemoryNetwork(t *testing.T) {
	m := NewMemory()
	server, client := m.At(there.Addr()), m.At(here.Addr())
	if _, err := client.Dial(context.Background(), there); err == nil {
		t.Error("dialled where nobody listens")
	}
	ln, err := server.Listen(there)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Listen(there); err == nil {
		t.Error("two listeners on one address")
	}
	go ln.Accept()
	conn, err := client.Dial(context.Background(), there)
	if err != nil || netip.MustParseAddrPort(conn.LocalAddr().String()).Addr() != here.Addr() {
		t.Errorf("dial: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := client.Dial(ctx, there); !errors.Is(err, context.Canceled) {
		t.Errorf("dial without anybody who accepts: %v", err)
	}
	ln.Close()
	if _, err := ln.Accept(); err == nil {
		t.Error("a closed listener accepts")
	}
}
