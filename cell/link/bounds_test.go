package link

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"net/netip"
	"testing"
	"time"

	"tunic/directory/keys"
)

func addr4(n int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	return netip.AddrFrom4(b)
}

// The table of sources holds whoever has something, and forgets the rest.
func TestSourcesAreForgotten(t *testing.T) {
	l := (Config{}).withDefaults().Limits
	s := newSources(&l)
	now := time.Now()
	for i := range 10_000 {
		h, ok := s.hold(addr4(i), now)
		if !ok {
			t.Fatalf("source %d was refused", i)
		}
		if i%100 != 0 {
			h.allow(now)
			h.release()
			h.release() // once is enough
		}
		now = now.Add(10 * time.Millisecond) // its token is back after 50 ms
	}
	if n := len(s.table); n < 100 || n > 300 {
		t.Errorf("%d sources are kept, want those 100 that hold something, and a few", n)
	}
}

func TestSourcesAreBounded(t *testing.T) {
	l := (Config{}).withDefaults().Limits
	s := newSources(&l)
	now := time.Now()
	var last *sourceHold
	for i := range maxSources {
		h, ok := s.hold(addr4(i), now)
		if !ok {
			t.Fatalf("source %d was refused", i)
		}
		last = h
	}
	if _, ok := s.hold(addr4(maxSources), now); ok {
		t.Error("a source beyond the bound was taken")
	}
	if _, ok := s.hold(addr4(5), now); !ok {
		t.Error("a source that is known was refused")
	}
	last.release()
	now = now.Add(2 * time.Second)
	if _, ok := s.hold(addr4(maxSources), now); !ok {
		t.Error("no source was forgotten")
	}
}

func TestFailuresAreBounded(t *testing.T) {
	p := &Pool{cfg: Config{}.withDefaults(), seed: maphash.MakeSeed(), failures: map[keys.RelayID]failure{}}
	for i := range maxFailures + 500 {
		var target Target
		binary.BigEndian.PutUint32(target.ID[:], uint32(i))
		p.rememberLocked(&target)
	}
	if n := len(p.failures); n != maxFailures {
		t.Errorf("%d failures are remembered, want %d", n, maxFailures)
	}
}

// A limiter that refuses for reasons of its own does not stop a link.
func TestStubbornLimiter(t *testing.T) {
	lim := &stubborn{}
	if err := take(t.Context(), lim, 16_045); err != nil {
		t.Errorf("%v, want nil", err)
	}
	if lim.calls == 0 || lim.calls > 20 {
		t.Errorf("asked %d times", lim.calls)
	}
}

// stubborn refuses everything.
type stubborn struct{ calls int }

func (s *stubborn) Burst() int                 { return 1000 }
func (s *stubborn) AllowN(time.Time, int) bool { return false }
func (s *stubborn) WaitN(context.Context, int) error {
	s.calls++
	return errors.New("no")
}
