package congestion

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// tagOf is the tag of the n-th cell of a test.
func tagOf(n int) (tag [16]byte) {
	binary.BigEndian.PutUint64(tag[3:], uint64(n)+1)
	return tag
}

// sendOne counts a cell, with its tag if it is marked.
func sendOne(s *Sender, n int, now time.Time) (mark bool) {
	if mark = s.Sent(now); mark {
		s.Remember(tagOf(n))
	}
	return mark
}

func TestEvery31stCellIsMarked(t *testing.T) {
	s := newSender(Default(), &scripted{size: 1_024})
	for n := 1; n <= 1_024; n++ {
		if room := s.Room(); room != 1_024-n+1 {
			t.Fatalf("before cell %d there is room for %d", n, room)
		}
		if mark := sendOne(s, n, epoch); mark != (n%31 == 0) {
			t.Errorf("cell %d is marked: %v", n, mark)
		}
	}
	if s.Room() != 0 || s.inflight != 1_024 || s.Window() != 1_024 {
		t.Errorf("with a full window: room %d, %d on the way, window %d", s.Room(), s.inflight, s.Window())
	}
}

func TestSendmeOpensTheWindow(t *testing.T) {
	s := newSender(Default(), &scripted{size: 1_024})
	for n := 1; n <= 1_024; n++ {
		sendOne(s, n, epoch)
	}
	for n := 31; n <= 1_024; n += 31 {
		if err := s.Sendme(tagOf(n), epoch, false); err != nil {
			t.Fatalf("SENDME for cell %d: %v", n, err)
		}
		if s.Room() != n || s.inflight != 1_024-n {
			t.Fatalf("after the SENDME for cell %d: room %d, %d on the way", n, s.Room(), s.inflight)
		}
	}
	if err := s.Sendme(tagOf(1_024), epoch, false); !errors.Is(err, ErrNotOwed) {
		t.Errorf("with one cell on the way: %v, want ErrNotOwed", err)
	}
}

func TestSendmeRejects(t *testing.T) {
	for _, tt := range []struct {
		name string
		sent int // cells before
		tag  [16]byte
		want error
	}{
		{"before the first cell", 0, tagOf(31), ErrNotOwed},
		{"before the first mark", 30, tagOf(31), ErrNotOwed},
		{"with the zero tag, before the first mark", 30, [16]byte{}, ErrNotOwed},
		{"with the zero tag", 31, [16]byte{}, ErrWrongTag},
		{"for the cell before", 31, tagOf(30), ErrWrongTag},
		{"for the second mark first", 62, tagOf(62), ErrWrongTag},
	} {
		s := newSender(Default(), &scripted{size: 1_024})
		for n := 1; n <= tt.sent; n++ {
			sendOne(s, n, epoch)
		}
		if err := s.Sendme(tt.tag, epoch, false); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if s.inflight != tt.sent {
			t.Errorf("%s: opened the window all the same", tt.name)
		}
	}
}

func TestSendmeRejectsEachWrongBit(t *testing.T) {
	s := newSender(Default(), &scripted{size: 1_024})
	for n := 1; n <= 31; n++ {
		sendOne(s, n, epoch)
	}
	for bit := range 128 {
		tag := tagOf(31)
		tag[bit/8] ^= 1 << (bit % 8)
		if err := s.Sendme(tag, epoch, false); !errors.Is(err, ErrWrongTag) {
			t.Errorf("bit %d wrong: %v, want ErrWrongTag", bit, err)
		}
	}
	if err := s.Sendme(tagOf(31), epoch, false); err != nil {
		t.Errorf("the right tag: %v", err)
	}
	if err := s.Sendme(tagOf(31), epoch, false); !errors.Is(err, ErrNotOwed) {
		t.Errorf("the right tag again: %v, want ErrNotOwed", err)
	}
}

// A SENDME cannot come before the tag that it must carry is known.
func TestSendmeForUnsealedCellIsNotOwed(t *testing.T) {
	s := newSender(Default(), &scripted{size: 1_024})
	for n := 1; n <= 30; n++ {
		sendOne(s, n, epoch)
	}
	if !s.Sent(epoch) {
		t.Fatal("cell 31 is not marked")
	}
	if err := s.Sendme([16]byte{}, epoch, false); !errors.Is(err, ErrNotOwed) {
		t.Errorf("%v, want ErrNotOwed", err)
	}
}

func TestMisuseOfSenderPanics(t *testing.T) {
	for name, misuse := range map[string]func(s *Sender){
		"sent beyond the window": func(s *Sender) {
			for n := 1; n <= 1_025; n++ {
				sendOne(s, n, epoch)
			}
		},
		"marked cell without its tag": func(s *Sender) {
			for range 32 {
				s.Sent(epoch)
			}
		},
		"tag of a cell that is not marked": func(s *Sender) {
			s.Sent(epoch)
			s.Remember(tagOf(1))
		},
		"two tags for one cell": func(s *Sender) {
			for n := 1; n <= 31; n++ {
				sendOne(s, n, epoch)
			}
			s.Remember(tagOf(31))
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			misuse(newSender(Default(), &scripted{size: 1_024}))
		})
	}
}

// A scripted window goes where the test says, and keeps what it is told.
type scripted struct {
	size int
	acks []ack
}

func (c *scripted) window() int             { return c.size }
func (c *scripted) sent(int, time.Duration) {}
func (c *scripted) acked(a ack)             { c.acks = append(c.acks, a) }

func TestControllerLearnsFromEachSendme(t *testing.T) {
	c := &scripted{size: 124}
	s := newSender(Default(), c)
	now := epoch
	for n := 1; n <= 62; n++ {
		now = now.Add(time.Millisecond)
		sendOne(s, n, now)
	}
	for n := 31; n <= 62; n += 31 {
		if err := s.Sendme(tagOf(n), now.Add(time.Second), n == 62); err != nil {
			t.Fatal(err)
		}
	}
	want := []ack{
		{sent: 30 * time.Millisecond, cells: 31, now: 1061 * time.Millisecond},
		{sent: 61 * time.Millisecond, cells: 62, now: 1061 * time.Millisecond, blocked: true},
	}
	if len(c.acks) != 2 || c.acks[0] != want[0] || c.acks[1] != want[1] {
		t.Errorf("it learnt %+v, want %+v", c.acks, want)
	}
	if err := s.Sendme(tagOf(93), now, false); err == nil || len(c.acks) != 2 {
		t.Errorf("it learnt from a SENDME that was refused (%v)", err)
	}
}

func TestWindowCutBelowWhatIsOnTheWay(t *testing.T) {
	c := &scripted{size: 500}
	s := newSender(Default(), c)
	for n := 1; n <= 310; n++ {
		sendOne(s, n, epoch)
	}
	c.size = 124
	for n := 31; n <= 310; n += 31 {
		if want := max(0, 124-(310-n+31)); s.Room() != want {
			t.Errorf("with %d on the way: room for %d, want %d", s.inflight, s.Room(), want)
		}
		if err := s.Sendme(tagOf(n), epoch, false); err != nil {
			t.Fatal(err)
		}
	}
	if s.Room() != 124 {
		t.Errorf("with nothing on the way: room for %d, want 124", s.Room())
	}
}

// With every parameter at its limit the memory of tags stays within the window.
func TestMarksAreBounded(t *testing.T) {
	for _, inc := range []int{1, 31, 254} {
		p := Params{SendmeInc: inc, CwndInit: MaxWindow, CwndMin: MaxWindow, CwndMax: MaxWindow}.Clamp()
		s := newSender(p, &scripted{size: p.CwndMax})
		n, acked := 0, 0
		for range 3 { // the ring turns
			for s.Room() > 0 {
				n++
				sendOne(s, n, epoch)
			}
			if s.marks.n != MaxWindow/inc || len(s.marks.ring) > MaxWindow/inc {
				t.Errorf("interval %d: %d marks in a ring of %d, want %d", inc, s.marks.n, len(s.marks.ring), MaxWindow/inc)
			}
			for range s.marks.n/2 + 1 {
				acked += inc
				if err := s.Sendme(tagOf(acked), epoch, false); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// A slow model: every cell ever sent, in a list.
type modelSender struct {
	inc, window int
	tags        [][16]byte
	times       []time.Time
	cells       []int // on the way when each left
	acked       int   // cells
}

func (m *modelSender) inflight() int { return len(m.tags) - m.acked }

func (m *modelSender) sendme(tag [16]byte) error {
	switch oldest := m.acked + m.inc; {
	case len(m.tags) < oldest:
		return ErrNotOwed
	case m.tags[oldest-1] != tag:
		return ErrWrongTag
	}
	m.acked += m.inc
	return nil
}

func TestSenderMatchesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Params{
			SendmeInc: rapid.SampledFrom([]int{1, 2, 30, 31, 254}).Draw(t, "inc"),
			CwndMin:   31,
			CwndMax:   rapid.IntRange(500, 3_000).Draw(t, "max"),
		}.Clamp()
		window := rapid.IntRange(p.CwndMin, p.CwndMax)
		c := &scripted{size: window.Draw(t, "window")}
		s, m := newSender(p, c), &modelSender{inc: p.SendmeInc, window: c.size}
		now := epoch
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				for range rapid.IntRange(1, 600).Draw(t, "cells") {
					if s.Room() == 0 {
						break
					}
					now = now.Add(time.Microsecond)
					m.tags, m.times = append(m.tags, tagOf(len(m.tags))), append(m.times, now)
					m.cells = append(m.cells, m.inflight())
					if mark := sendOne(s, len(m.tags)-1, now); mark != (len(m.tags)%m.inc == 0) {
						t.Fatalf("cell %d of interval %d is marked: %v", len(m.tags), m.inc, mark)
					}
				}
			},
			"sendme": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "sendmes") {
					if m.inflight() < m.inc {
						break
					}
					tag, sent, way := m.tags[m.acked+m.inc-1], m.times[m.acked+m.inc-1], m.cells[m.acked+m.inc-1]
					now = now.Add(time.Millisecond)
					if err := errors.Join(s.Sendme(tag, now, false), m.sendme(tag)); err != nil {
						t.Fatal(err)
					}
					if got, want := c.acks[len(c.acks)-1], (ack{sent: sent.Sub(m.times[0]), cells: way, now: now.Sub(m.times[0])}); got != want {
						t.Fatalf("the controller learnt %+v, want %+v", got, want)
					}
				}
			},
			"any sendme": func(t *rapid.T) {
				tag := tagOf(rapid.IntRange(0, len(m.tags)+2).Draw(t, "cell"))
				if got, want := s.Sendme(tag, now, true), m.sendme(tag); !errors.Is(got, want) {
					t.Fatalf("Sendme = %v, want %v", got, want)
				}
			},
			"window": func(t *rapid.T) {
				c.size = window.Draw(t, "window")
				m.window = c.size
			},
			"": func(t *rapid.T) {
				if s.inflight != m.inflight() || s.Room() != max(0, m.window-m.inflight()) {
					t.Fatalf("%d on the way, room %d, want %d, %d", s.inflight, s.Room(), m.inflight(), max(0, m.window-m.inflight()))
				}
				if s.marks.n != m.inflight()/m.inc {
					t.Fatalf("%d marks for %d cells on the way", s.marks.n, m.inflight())
				}
			},
		})
	})
}

// The two ends together, over a path that holds cells and SENDMEs back at random:
// nothing is refused, and the sender never comes to a stop.
func TestSenderAndReceiverNeverStall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Params{
			SendmeInc: rapid.IntRange(1, 254).Draw(t, "inc"),
			CwndInit:  rapid.IntRange(31, 2_000).Draw(t, "init"),
			CwndMax:   2_000,
		}.Clamp()
		s, r := NewSender(p), NewReceiver(p)
		var cells []int // on the way out
		var tags [][16]byte
		sent, received := 0, 0
		for received < 5_000 {
			for range min(s.Room(), rapid.IntRange(0, 500).Draw(t, "send")) {
				sent++
				sendOne(s, sent, epoch)
				cells = append(cells, sent)
			}
			for range min(len(cells), rapid.IntRange(0, 500).Draw(t, "arrive")) {
				received++
				if r.Received() {
					tags = append(tags, tagOf(cells[0]))
					r.Acked()
				}
				cells = cells[1:]
			}
			for range min(len(tags), rapid.IntRange(0, 20).Draw(t, "sendmes")) {
				if err := s.Sendme(tags[0], epoch, false); err != nil {
					t.Fatal(err)
				}
				tags = tags[1:]
			}
			if s.Room() == 0 && len(cells) == 0 && len(tags) == 0 {
				t.Fatalf("stalled after %d cells", sent)
			}
			if r.Overrun() {
				t.Fatal("an honest sender overran the window")
			}
		}
	})
}
