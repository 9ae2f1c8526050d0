package circuit

import (
	"errors"
	"testing"
	"time"

	"tunic/cell"

	"pgregory.net/rapid"
)

var (
	xoff = cell.Message{Command: cell.XOff, Stream: 1}
	xon0 = xon(0)
)

func xon(rate cell.XOnRate) cell.Message {
	data, _ := rate.AppendBinary(nil)
	return cell.Message{Command: cell.XOn, Stream: 1, Data: data}
}

// TestFlowAcceptsOnlyWhatHasACause has a receiver say things behind so many bytes.
func TestFlowAcceptsOnlyWhatHasACause(t *testing.T) {
	tests := []struct {
		name string
		sent int
		msgs []cell.Message
		ok   bool
	}{
		{"XOFF after enough data", flowCost, []cell.Message{xoff}, true},
		{"XOFF a byte too early", flowCost - 1, []cell.Message{xoff}, false},
		{"XOFF before the first byte", 0, []cell.Message{xoff}, false},
		{"XON before the first byte", 0, []cell.Message{xon0}, false},
		{"XOFF and XON", flowCost, []cell.Message{xoff, xon0}, true},
		{"XON first", flowCost, []cell.Message{xon0}, false},
		{"XON first, with a rate", flowCost, []cell.Message{xon(1000)}, false},
		{"two XOFF", 2 * flowCost, []cell.Message{xoff, xoff}, false},
		{"two XON without a rate", 2 * flowCost, []cell.Message{xoff, xon0, xon0}, false},
		{"advice where no rate is in force", 2 * flowCost, []cell.Message{xoff, xon0, xon(1000)}, false},
		{"advice", flowCost, []cell.Message{xoff, xon(1000), xon(2000)}, true},
		{"advice that says nothing new", flowCost, []cell.Message{xoff, xon(1000), xon(1000)}, false},
		{"second advice without more data", flowCost, []cell.Message{xoff, xon(1000), xon(2000), xon(3000)}, false},
		{"second advice with more data", 2 * flowCost, []cell.Message{xoff, xon(1000), xon(2000), xon(3000)}, true},
		{"advice that there is no limit, and more", 2 * flowCost, []cell.Message{xoff, xon(1000), xon0, xon(1000)}, false},
		{"second XOFF without more data", flowCost, []cell.Message{xoff, xon0, xoff}, false},
		{"second XOFF with more data", 2 * flowCost, []cell.Message{xoff, xon0, xoff}, true},
		{"XOFF with data", flowCost, []cell.Message{{Command: cell.XOff, Data: []byte{1}}}, false},
		{"XON of three bytes", flowCost, []cell.Message{xoff, {Command: cell.XOn, Data: make([]byte, 3)}}, false},
	}
	for _, test := range tests {
		var f flow
		f.data(test.sent)
		var err error
		for _, m := range test.msgs {
			err = errors.Join(err, f.receive(m, time.Time{}))
		}
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil && !errors.Is(err, cell.ErrMalformed) {
			t.Errorf("%s: %v is not ErrMalformed", test.name, err)
		}
	}
}

// TestCreditIsBounded sends a great deal before the receiver says anything: it may
// not make up for it.
func TestCreditIsBounded(t *testing.T) {
	var f flow
	for range 100 {
		f.data(1 << 20)
	}
	said := 0
	for f.receive(xoff, time.Time{}) == nil && f.receive(xon0, time.Time{}) == nil {
		said++
	}
	if want := maxCredit / flowCost; said != want {
		t.Errorf("%d XOFFs after 100 MiB, want %d", said, want)
	}
}

// TestBucketKeepsTheRate has an eager writer send for a minute, at every rate.
func TestBucketKeepsTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.OneOf(rapid.Uint32Range(1, 5_000), rapid.Uint32Range(1, 124_999)).Draw(t, "rate")
		least := int(units)/20 + 1 // else it takes too long
		most := rapid.IntRange(least, least+40*cell.MaxData).Draw(t, "bytes of a write")
		now := time.Unix(0, 0)
		var b bucket
		b.set(cell.XOnRate(units), now)
		const seconds = 2
		var sent, waits int64
		for end := now.Add(seconds * time.Second); now.Before(end); {
			wait := b.wait(most, now)
			if wait > 0 {
				waits++
				now = now.Add(wait)
				continue
			}
			n := b.allow(most)
			if n <= 0 || n > most {
				t.Fatalf("%d of %d bytes may be sent without waiting", n, most)
			}
			b.take(n)
			sent += int64(n)
		}
		rate := int64(max(units, uint32(minRate))) * rateUnit
		if least := rate*seconds - rate/100 - b.burst(); sent < least {
			t.Errorf("%d bytes at %d per second, want %d", sent, rate, least)
		}
		if limit := rate*seconds + b.burst() + int64(most); sent > limit {
			t.Errorf("%d bytes at %d per second, want at most %d", sent, rate, limit)
		}
		if limit := int64(seconds * time.Second / xoffGrace * 2); waits > limit {
			t.Errorf("%d waits, want at most %d", waits, limit)
		}
	})
}

// TestBucketBursts lets a stream that was idle send what its receiver bears.
func TestBucketBursts(t *testing.T) {
	tests := []struct {
		rate cell.XOnRate
		want int
	}{
		{1, xoffLimit / 2},     // counts as 250
		{1_000, xoffLimit / 2}, // a megabyte per second
		{100_000, 1_000_000},   // twice what comes within the receiver's grace
		{124_999, 2 * 624_995}, // the same
	}
	for _, test := range tests {
		now := time.Unix(0, 0)
		var b bucket
		b.set(test.rate, now)
		now = now.Add(time.Hour)
		if wait := b.wait(1<<30, now); wait != 0 {
			t.Errorf("rate %d: a wait of %v after an hour", test.rate, wait)
		}
		if got, want := b.allow(1<<30), test.want/cell.MaxData*cell.MaxData; got != want {
			t.Errorf("rate %d: %d bytes at once, want %d", test.rate, got, want)
		}
	}
}

// TestBucketFollowsTheLastRate changes the rate up, down and to none.
func TestBucketFollowsTheLastRate(t *testing.T) {
	now := time.Unix(0, 0)
	var b bucket
	if b.wait(1, now) != 0 || b.allow(1<<20) != 1<<20 {
		t.Error("a bucket without a rate is in the way")
	}
	b.set(100_000, now)
	now = now.Add(time.Second)
	b.wait(1, now)
	b.set(1_000, now)
	if got := b.allow(1 << 30); got > xoffLimit/2 {
		t.Errorf("%d bytes are left of a higher rate, want at most %d", got, xoffLimit/2)
	}
	b.take(b.allow(1 << 30))
	if wait := b.wait(1000, now); wait <= 0 || wait > xoffGrace+1 {
		t.Errorf("waits %v at an empty bucket, want %v at most", wait, xoffGrace)
	}
	for _, none := range []cell.XOnRate{0, 125_000, 1<<32 - 1} {
		b.set(1_000, now)
		b.set(none, now)
		if b.wait(1, now) != 0 || b.allow(1<<20) != 1<<20 {
			t.Errorf("rate %d is in the way", none)
		}
	}
	b.set(1_000, now)
	if got := b.allow(1 << 20); got > 10*cell.MaxData {
		t.Errorf("%d bytes at once when a rate begins", got)
	}
	if b.wait(1, now.Add(-time.Hour)) < 0 {
		t.Error("waits a negative time when the clock goes back")
	}
}
