package circuit

import (
	"math/rand/v2"
	"testing"
	"time"

	"tunic/cell"
)

// reading plays a stream's receiver in virtual time.
type reading struct {
	t      *testing.T
	d      drain
	now    time.Time
	unread int
	said   []cell.XOnRate // of each XON
	offs   int
}

func newReading(t *testing.T) *reading { return &reading{t: t, now: time.Unix(0, 0)} }

// come has n bytes arrive, in cells.
func (r *reading) come(n int) {
	for n > 0 {
		k := min(n, cell.MaxData)
		n -= k
		r.unread += k
		stop, err := r.d.arrived(k, r.unread, r.now)
		if err != nil {
			r.t.Fatal(err)
		}
		if stop {
			r.d.stop(1 << 20)
			r.offs++
		}
	}
}

// take has the reader take n bytes.
func (r *reading) take(n int) {
	r.unread -= n
	if rate, send := r.d.taken(n, r.unread, r.now); send {
		r.said = append(r.said, rate)
	}
}

func (r *reading) pass(d time.Duration) { r.now = r.now.Add(d) }

// stopped brings the receiver to send XOFF.
func (r *reading) stopped() {
	r.t.Helper()
	r.come(xoffLimit + 1)
	r.pass(xoffGrace)
	r.come(1)
	if r.offs != 1 || !r.d.off {
		r.t.Fatalf("%d XOFFs, want one", r.offs)
	}
}

// takeAt has the reader take all, at a pace.
func (r *reading) takeAt(bytesPerSecond int) {
	const piece = 10_000
	for r.unread > 0 {
		n := min(piece, r.unread)
		r.pass(time.Duration(n) * time.Second / time.Duration(bytesPerSecond))
		r.take(n)
	}
}

func near(rate cell.XOnRate, want float64) bool {
	return float64(rate) > 0.9*want && float64(rate) < 1.1*want
}

func TestDrainStopsASlowReader(t *testing.T) {
	r := newReading(t)
	r.come(xoffLimit)
	r.pass(time.Hour)
	r.come(1) // now it is above the limit
	r.pass(xoffGrace - 1)
	r.come(1)
	if r.offs != 0 {
		t.Error("XOFF before the grace is over")
	}
	r.take(2) // not above it any more
	r.pass(xoffGrace)
	r.come(2)
	r.pass(xoffGrace - 1)
	r.come(1)
	if r.offs != 0 {
		t.Error("XOFF though the limit was passed twice for a short time")
	}
	r.pass(1)
	r.come(1)
	if r.offs != 1 {
		t.Error("no XOFF after the grace")
	}
	r.pass(time.Hour)
	r.come(2 * xoffAtOnce)
	if r.offs != 1 {
		t.Error("second XOFF without XON")
	}
}

func TestDrainStopsAtOnceAtVeryMuch(t *testing.T) {
	r := newReading(t)
	r.come(xoffAtOnce)
	if r.offs != 0 {
		t.Error("XOFF at the limit")
	}
	r.come(1)
	if r.offs != 1 {
		t.Error("no XOFF beyond it")
	}
}

func TestDrainBoundsWhatComesAfterXOff(t *testing.T) {
	d := drain{}
	d.stop(2)
	for i := range 3 {
		if _, err := d.arrived(1, 1, time.Time{}); (err != nil) != (i == 2) {
			t.Errorf("cell %d after XOFF: %v", i, err)
		}
	}
}

func TestXOnSaysHowFastTheReaderIs(t *testing.T) {
	for _, pace := range []int{500_000, 10_000_000, 110_000_000} {
		r := newReading(t)
		r.stopped()
		r.come(3 * xoffLimit) // what was on its way
		r.pass(time.Hour)     // the reader does not read at all: no measure of how fast it reads
		r.take(10_000)
		for r.unread > 10_000 {
			r.pass(10_000 * time.Second / time.Duration(pace))
			r.take(10_000)
		}
		if len(r.said) != 0 {
			t.Errorf("pace %d: XON with %d bytes unread", pace, r.unread)
		}
		r.takeAt(pace)
		if len(r.said) != 1 || !near(r.said[0], float64(pace)/rateUnit) {
			t.Errorf("pace %d: XON %v", pace, r.said)
		}
	}
}

func TestXOnWithoutAMeasureIsUnlimited(t *testing.T) {
	r := newReading(t)
	r.stopped()
	r.pass(time.Second)
	r.take(r.unread) // at once: nothing can be said
	if len(r.said) != 1 || r.said[0] != 0 {
		t.Errorf("XON %v, want one without a limit", r.said)
	}
	if r.d.measures() {
		t.Error("the pace is measured though no rate is in force")
	}
}

func TestXOnRatesAreBounded(t *testing.T) {
	for pace, want := range map[int]cell.XOnRate{1_000: minRate, 126_000_000: 0} {
		r := newReading(t)
		r.stopped()
		r.come(xoffLimit)
		r.take(1)
		r.takeAt(pace)
		if len(r.said) != 1 || r.said[0] != want {
			t.Errorf("pace %d: XON %v, want %d", pace, r.said, want)
		}
	}
}

// TestAdviceFollowsTheReader has data come at the rate that was advised, and the
// reader become faster and slower.
func TestAdviceFollowsTheReader(t *testing.T) {
	r := newReading(t)
	r.stopped()
	r.come(xoffLimit)
	r.take(1)
	r.takeAt(1_000_000)
	if len(r.said) != 1 || !near(r.said[0], 1_000) {
		t.Fatalf("XON %v, want 1000", r.said)
	}
	// A sender that keeps to the rate sends less than the reader could take.
	taken := 0
	round := func(pace int) {
		rate := int(r.said[len(r.said)-1]) * rateUnit
		n := rate / 200 // 5 ms
		r.come(n)
		from := r.now
		r.takeAt(pace)
		r.pass(max(0, 5*time.Millisecond-r.now.Sub(from)))
		taken += n
	}
	for range 100 {
		round(1_100_000) // a little faster: not worth a message
	}
	if len(r.said) != 1 {
		t.Errorf("advice %v to a reader that has hardly changed", r.said[1:])
	}
	for taken = 0; taken < 10*xonSample; {
		round(4_000_000)
	}
	if last := r.said[len(r.said)-1]; !near(last, 4_000) {
		t.Errorf("advice %v, want about 4000 in the end", r.said)
	}
	for taken = 0; taken < 10*xonSample; {
		round(1_500_000)
	}
	if last := r.said[len(r.said)-1]; moved(1_500, last) {
		t.Errorf("advice %v, want about 1500 in the end", r.said)
	}
	if r.offs != 1 {
		t.Errorf("%d XOFFs, want only the first", r.offs)
	}
}

func TestAdviceNeedsMoreThanAQuarter(t *testing.T) {
	tests := []struct {
		told, rate cell.XOnRate
		want       bool
	}{
		{1000, 1000, false}, {1000, 1250, false}, {1000, 1251, true}, {1000, 750, false},
		{1000, 749, true}, {1000, 0, true}, {250, 250, false}, {120_000, 0, true},
	}
	for _, test := range tests {
		if got := moved(test.told, test.rate); got != test.want {
			t.Errorf("from %d to %d: %v", test.told, test.rate, got)
		}
	}
}

func TestDrainBearsABrokenClock(t *testing.T) {
	r := newReading(t)
	r.stopped()
	r.come(10 * xonSample)
	for r.unread > 0 { // no time passes
		r.take(min(1000, r.unread))
	}
	if len(r.said) != 1 || r.said[0] != 0 {
		t.Errorf("XON %v, want one without a limit", r.said)
	}
}

// A bothEnds is one stream's sender and receiver, with a window of data and
// messages on their way.
type bothEnds struct {
	t      *testing.T
	rng    *rand.Rand
	now    time.Time
	window int
	f      flow
	d      drain

	away, unread int // bytes on their way, and at the receiver
	owed         int // bytes sent that the sender has not heard of
	back         []heard
	stops        int // XOFFs that the sender has heard
	advice       int // XONs that only advised
}

// heard is what the receiver says: an acknowledgement, or a message.
type heard struct {
	cell.Message
	acked int
}

func (b *bothEnds) say(m cell.Message) { b.back = append(b.back, heard{Message: m}) }

// upTo draws a number, often the largest.
func (b *bothEnds) upTo(n int) int {
	if n <= 0 || b.rng.IntN(2) == 0 {
		return max(n, 0)
	}
	return b.rng.IntN(n + 1)
}

// send is a sender that keeps to no rate.
func (b *bothEnds) send() {
	if n := b.upTo(b.window - b.owed); !b.f.off {
		b.f.data(n)
		b.away, b.owed = b.away+n, b.owed+n
	}
}

// come has at most so much arrive.
func (b *bothEnds) come(most int) {
	for n := b.upTo(min(b.away, most)); n > 0; {
		k := min(n, cell.MaxData)
		n, b.away, b.unread = n-k, b.away-k, b.unread+k
		b.back = append(b.back, heard{acked: k})
		stop, err := b.d.arrived(k, b.unread, b.now)
		if err != nil {
			b.t.Fatal(err)
		}
		if stop {
			b.d.stop(b.window/cell.MaxData + 1)
			b.say(xoff)
		}
	}
}

// take reads in pieces, at a pace drawn each time.
func (b *bothEnds) take() {
	pace := time.Duration(b.rng.IntN(2_000)) * time.Nanosecond // for each byte
	for n := b.upTo(b.unread); n > 0; {
		k := min(n, 32<<10)
		n, b.unread = n-k, b.unread-k
		b.now = b.now.Add(time.Duration(k) * pace)
		if rate, send := b.d.taken(k, b.unread, b.now); send {
			b.say(xon(rate))
		}
	}
}

func (b *bothEnds) hear() {
	for range b.upTo(len(b.back)) {
		m := b.back[0]
		b.back, b.owed = b.back[1:], b.owed-m.acked
		switch {
		case m.acked > 0:
			continue
		case m.Command == cell.XOff:
			b.stops++
		case !b.f.off:
			b.advice++
		}
		if err := b.f.receive(m.Message, b.now); err != nil {
			b.t.Fatalf("%v %x: %v", m.Command, m.Data, err)
		}
	}
}

// TestWhatDrainSaysFlowAccepts has readers of all kinds, and senders that keep to
// no rate: no honest receiver may be taken for a hostile one.
func TestWhatDrainSaysFlowAccepts(t *testing.T) {
	var stops, advice int
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		b := &bothEnds{t: t, rng: rng, now: time.Unix(0, 0), window: xoffLimit + rng.IntN(maxCredit-xoffLimit+1)}
		for range 400 {
			switch rng.IntN(6) {
			case 0:
				b.send()
			case 1:
				b.come(b.away)
			case 2:
				b.take()
			case 3:
				b.hear()
			case 4:
				b.now = b.now.Add(time.Duration(rng.IntN(10)) * time.Millisecond)
			case 5: // a window comes little by little, before the sender hears of it
				for range 30 {
					b.come(2 * xoffLimit)
					b.take()
				}
			}
		}
		stops, advice = stops+b.stops, advice+b.advice
	}
	if stops < 100 || advice < 30 {
		t.Errorf("%d XOFFs and %d XONs that only advise: the test shows nothing", stops, advice)
	}
}
