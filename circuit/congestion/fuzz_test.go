package congestion

import (
	"errors"
	"testing"
	"time"
)

// FuzzSender plays what a peer may send: SENDMEs right and wrong, early and late. Each
// byte is a step.
func FuzzSender(f *testing.F) {
	f.Add([]byte{0x3f, 0x40, 0x80, 0x40, 0x80, 0x80})
	f.Add([]byte{0x3f, 0x3f, 0x7f, 0xbf, 0xc0})
	f.Fuzz(func(t *testing.T, steps []byte) {
		s, now, sent, acked := NewSender(Default()), epoch, 0, 0
		for _, b := range steps {
			n := int(b & 0x3f)
			switch b >> 6 {
			case 0: // cells
				for range min(s.Room(), 16*n) {
					sent++
					sendOne(s, sent, now)
				}
			case 1: // time
				now = now.Add(time.Duration(n*n*n) * time.Microsecond)
			case 2: // the SENDME that is owed
				if sent-acked < 31 {
					continue
				}
				acked += 31
				if err := s.Sendme(tagOf(acked), now, n&1 == 1); err != nil {
					t.Fatalf("the right one: %v", err)
				}
			case 3: // another
				err := s.Sendme(tagOf(acked+n), now, false)
				if n == 31 && sent-acked >= 31 {
					acked += 31
				} else if !errors.Is(err, ErrWrongTag) && !errors.Is(err, ErrNotOwed) {
					t.Fatalf("a wrong one: %v", err)
				}
			}
			if w := s.Window(); w < 31 || w > MaxWindow || s.inflight != sent-acked || s.Room() == 0 && s.inflight < 31 {
				t.Fatalf("a window of %d, %d on the way", w, s.inflight)
			}
		}
	})
}
