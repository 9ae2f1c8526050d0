package circuit

import (
	"time"

	"tunic/cell"
)

// flow is what the sender of a stream's data knows of the receiver: whether it
// wants data, how fast, and what it may still say about that. It is a state
// machine: the time comes as an argument.
type flow struct {
	off  bool
	told cell.XOnRate // by the last XON; 0: no limit, or there was none
	pace bucket
	sent int64 // bytes of data

	stops, advice credit
}

// A credit bounds what a receiver may say: it is earned by data sent and spent by
// messages. That it does not grow beyond the largest window keeps a long stream
// from saving up for a burst of messages that tell nothing. Half of that is what
// one window may cause before the sender hears of it.
type credit int64

func (c *credit) earn(n int) { *c = min(*c+credit(n), maxCredit) }

func (c *credit) spend() bool {
	if *c < flowCost {
		return false
	}
	*c -= flowCost
	return true
}

// data counts n bytes that are sent.
func (f *flow) data(n int) {
	f.sent += int64(n)
	f.stops.earn(n)
	f.advice.earn(n)
	f.pace.take(n)
}

// receive takes in XOFF and XON.
func (f *flow) receive(m cell.Message, now time.Time) error {
	if m.Command == cell.XOff {
		return f.stop(m.Data)
	}
	rate, err := cell.ParseXOn(m.Data)
	if err != nil {
		return err
	}
	return f.goOn(rate, now)
}

// stop takes XOFF. So much must have been sent for each that the receiver can have
// reached its limit.
func (f *flow) stop(data []byte) error {
	if err := cell.ParseEmpty(data); err != nil {
		return err
	}
	if f.off {
		return violation("second XOFF")
	}
	if !f.stops.spend() {
		return violation("XOFF without cause")
	}
	f.off = true
	return nil
}

// goOn takes XON. One that ends an XOFF is always in order. Any other is advice: it
// changes the rate that is in force, and enough must have been sent for the
// receiver to have measured another.
func (f *flow) goOn(rate cell.XOnRate, now time.Time) error {
	if !f.off {
		if f.told == 0 || rate == f.told {
			return violation("XON without XOFF")
		}
		if !f.advice.spend() {
			return violation("XON without cause")
		}
	}
	f.off, f.told = false, rate
	f.pace.set(rate, now)
	return nil
}

// A bucket lets a stream send at a rate.
type bucket struct {
	rate   int64 // bytes per second; 0: no limit, and the rest is unused
	tokens int64 // bytes that may be sent
	at     time.Time
}

// set changes the rate. A low one counts as the lowest: whoever wants less data
// has to stop the stream for it, which takes data each time.
func (b *bucket) set(rate cell.XOnRate, now time.Time) {
	if rate == 0 || rate >= noRate {
		b.rate = 0
		return
	}
	was := b.rate
	b.rate = int64(max(rate, minRate)) * rateUnit
	if was == 0 {
		b.tokens, b.at = b.portion(), now
	}
	b.tokens = min(b.tokens, b.burst())
}

// portion returns how many bytes are sent together: what comes in the time for
// which the receiver bears to be over its limit.
func (b *bucket) portion() int64 {
	return max(b.rate*int64(xoffGrace)/int64(time.Second), cell.MaxData)
}

// burst returns the most tokens that are kept.
func (b *bucket) burst() int64 { return max(2*b.portion(), min(b.rate, xoffLimit/2)) }

// wait returns how long to wait until n bytes, or a part of them, may be sent; 0
// if they may be sent now.
func (b *bucket) wait(n int, now time.Time) time.Duration {
	if b.rate == 0 {
		return 0
	}
	b.fill(now)
	if b.tokens >= int64(min(n, cell.MaxData)) {
		return 0
	}
	return time.Duration((b.portion()-b.tokens)*int64(time.Second)/b.rate) + 1
}

// fill adds the tokens of the time since the last call. What is less than a token
// stays for the next.
func (b *bucket) fill(now time.Time) {
	passed := now.Sub(b.at)
	if passed >= time.Second {
		b.tokens, b.at = b.burst(), now
		return
	}
	if more := b.rate * int64(max(passed, 0)) / int64(time.Second); more > 0 {
		b.tokens = min(b.tokens+more, b.burst())
		b.at = b.at.Add(time.Duration(more * int64(time.Second) / b.rate))
	}
}

// allow returns how many of n bytes may be sent after wait has returned 0: all, or
// whole cells.
func (b *bucket) allow(n int) int {
	if b.rate == 0 || int64(n) <= b.tokens {
		return n
	}
	return int(b.tokens) / cell.MaxData * cell.MaxData
}

func (b *bucket) take(n int) {
	if b.rate != 0 {
		b.tokens -= int64(n)
	}
}
