package mirror

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tunic/cell/work"
	"tunic/directory"
)

// offer offers one more stream and reports whether it was taken.
func offer(t *testing.T, l *Listener, p Peer) (net.Conn, error) {
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close() })
	err := l.Offer(far, p)
	if err != nil {
		far.Close()
	}
	return near, err
}

func TestListenerKeepsThirdsForAuthoritiesAndRelays(t *testing.T) {
	l := NewListener()
	defer l.Close()
	link := uint64(0)
	fill := func(c work.Class) (n int) {
		for ; ; n++ {
			link++
			if _, err := offer(t, l, Peer{Class: c, Link: link}); errors.Is(err, ErrFull) {
				return n
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	if s, r, a := fill(work.Stranger), fill(work.Relay), fill(work.Authority); s != 86 || r != 85 || a != 85 {
		t.Errorf("strangers took %d streams, then relays %d, then authorities %d; want 86, 85, 85", s, r, a)
	}
	if l.Streams() != MaxStreams {
		t.Errorf("%d streams", l.Streams())
	}
}

func TestRelaysMayUseWhatStrangersLeave(t *testing.T) {
	l := NewListener()
	defer l.Close()
	for link := range uint64(171) {
		if _, err := offer(t, l, Peer{Class: work.Relay, Link: link}); err != nil {
			t.Fatalf("stream %d: %v", link, err)
		}
	}
	for _, c := range []work.Class{work.Stranger, work.Relay} {
		if _, err := offer(t, l, Peer{Class: c, Link: 1000}); !errors.Is(err, ErrFull) {
			t.Errorf("class %v beyond two thirds: %v", c, err)
		}
	}
	if _, err := offer(t, l, Peer{Class: work.Authority, Link: 1000}); err != nil {
		t.Errorf("an authority: %v", err)
	}
}

func TestListenerAllowsFourStreamsALink(t *testing.T) {
	l := NewListener()
	defer l.Close()
	for range MaxLinkStreams {
		if _, err := offer(t, l, Peer{Class: work.Authority, Link: 7}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := offer(t, l, Peer{Class: work.Authority, Link: 7}); !errors.Is(err, ErrFull) {
		t.Errorf("the fifth: %v", err)
	}
	if _, err := offer(t, l, Peer{Link: 8}); err != nil {
		t.Errorf("another link: %v", err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	c.Close() // counts once
	if _, err := offer(t, l, Peer{Link: 7}); err != nil {
		t.Errorf("after one of four was closed: %v", err)
	}
	if _, err := offer(t, l, Peer{Link: 7}); !errors.Is(err, ErrFull) {
		t.Errorf("after one of four was closed twice: %v", err)
	}
}

func TestListenerClose(t *testing.T) {
	l := NewListener()
	if _, err := offer(t, l, Peer{}); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error)
	go func() { // ends with Close
		for {
			if _, err := l.Accept(); err != nil {
				waiting <- err
				return
			}
		}
	}()
	_, _ = offer(t, l, Peer{})
	l.Close()
	l.Close()
	if err := <-waiting; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if _, err := offer(t, l, Peer{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Offer: %v", err)
	}
	unaccepted := NewListener()
	near, _ := offer(t, unaccepted, Peer{})
	unaccepted.Close()
	if _, err := near.Read(make([]byte, 1)); err != io.EOF || unaccepted.Streams() != 0 {
		t.Errorf("a stream that nobody accepted: %v, %d open", err, unaccepted.Streams())
	}
}

// While 2,000 strangers ask for the consensus over and over, an authority's
// requests are answered, each of them.
func TestAuthoritiesAreServedAmongStrangers(t *testing.T) {
	network, b, _ := bundles(t)
	s := serve(t, handler(&fixed{bundle: b}, 1))
	var served, full atomic.Int64
	var crowd, there sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 2000 {
		c := s.client(Peer{Link: uint64(i)})
		there.Add(1)
		crowd.Go(func() { // ends with cancel
			answered := sync.OnceFunc(there.Done)
			for ctx.Err() == nil {
				_, err := c.Get(ctx, PathConsensus, directory.MaxBundle)
				var busy *BusyError
				switch {
				case errors.Is(err, ErrFull), errors.As(err, &busy):
					full.Add(1)
					select { // 2,000 that never pause would only measure this machine
					case <-ctx.Done():
					case <-time.After(time.Millisecond):
					}
				case err == nil:
					served.Add(1)
				}
				answered()
			}
		})
	}
	there.Wait() // all 2,000 have been answered once, and go on
	a := s.client(Peer{Class: work.Authority, Link: 1 << 20})
	for i := range 20 {
		if _, err := a.Consensus(t.Context(), network.Network, nil); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	cancel()
	crowd.Wait()
	if full.Load() == 0 {
		t.Error("there was no crowd")
	}
	t.Logf("%d strangers were served, %d refused", served.Load(), full.Load())
}
