package congestion

import (
	"fmt"
	"testing"
	"time"
)

// A pair is two circuits over one bottleneck.
type pair struct {
	mbit       float64
	rtt1, rtt2 time.Duration
	late       time.Duration // by which the second starts later
}

// shares returns the second circuit's part of what both move, in each of n
// intervals from 20 round trips after its start, how much they use together, and the
// mean queue.
func (p pair) shares(t testing.TB, n int, interval time.Duration) (shares []float64, used, queue float64) {
	w, b := &world{}, bottleneck(p.mbit)
	rates := [3]float64{2 * p.mbit, p.mbit, 2 * p.mbit}
	f1, f2 := connect(Default(), rates, p.rtt1, b), connect(Default(), rates, p.rtt2, b)
	w.start(f1, 0)
	w.start(f2, p.late)
	from := p.late + 20*max(p.rtt1, p.rtt2)
	w.run(from)
	b.look(w)
	all := 0
	for range n {
		n1, n2 := f1.delivered, f2.delivered
		w.run(w.now + interval)
		n1, n2 = f1.delivered-n1, f2.delivered-n2
		all += n1 + n2
		shares = append(shares, float64(n2)/float64(n1+n2))
	}
	if w.err != nil {
		t.Fatal(w.err)
	}
	queue, _ = b.mean(w, from)
	return shares, float64(all) * float64(perCell(p.mbit)) / float64(w.now-from), queue
}

// TestTwoShare has two circuits on one bottleneck: within 60:40 from 20 round trips
// on where those are short, from 10 s later where they are long, and from 20 s where
// one is long and one is short: then each has looked again how long the path is.
func TestTwoShare(t *testing.T) {
	const ms = time.Millisecond
	short := [][2]time.Duration{{1 * ms, 1 * ms}, {10 * ms, 10 * ms}, {50 * ms, 50 * ms}}
	long := [][2]time.Duration{{200 * ms, 200 * ms}}
	mixed := [][2]time.Duration{{10 * ms, 50 * ms}, {30 * ms, 200 * ms}}
	for _, tt := range []struct {
		mbit float64
		of   [][2]time.Duration
		from int // the first interval that counts
	}{{10, short, 0}, {50, short, 0}, {200, short[2:], 0}, {10, long, 1}, {50, long, 1}, {10, mixed, 2}, {50, mixed, 2}} {
		t.Run(fmt.Sprintf("%v Mbit/s", tt.mbit), func(t *testing.T) {
			t.Parallel()
			table := fmt.Sprintf("\n%9s %6s %18s %7s %6s", "ms", "late", "second's share", "used", "queue")
			for _, rtt := range tt.of {
				for _, late := range []time.Duration{0, 300 * ms, 5 * time.Second} {
					shares, used, queue := pair{tt.mbit, rtt[0], rtt[1], late}.shares(t, max(2, tt.from+1), 10*time.Second)
					table += fmt.Sprintf("\n%4d/%4d %6v %18.2f %6.1f%% %6.0f", rtt[0]/ms, rtt[1]/ms, late, shares, 100*used, queue)
					for _, s := range shares[tt.from:] {
						if s < 0.4 || s > 0.6 {
							t.Errorf("%v and %v, %v later: the second has %.2f", rtt[0], rtt[1], late, shares)
							break
						}
					}
					if used < 0.85 {
						t.Errorf("%v and %v, %v later: %.1f%% used", rtt[0], rtt[1], late, 100*used)
					}
				}
			}
			t.Log(table)
		})
	}
}

// TestEightShare has eight circuits begin one after the other.
func TestEightShare(t *testing.T) {
	t.Parallel()
	const mbit, rtt = 50, 40 * time.Millisecond
	w, b := &world{}, bottleneck(mbit)
	var flows []*flow
	for i := range 8 {
		f := connect(Default(), [3]float64{2 * mbit, mbit, 2 * mbit}, rtt, b)
		w.start(f, time.Duration(i)*700*time.Millisecond)
		flows = append(flows, f)
	}
	w.run(20 * time.Second)
	b.look(w)
	var before [8]int
	for i, f := range flows {
		before[i] = f.delivered
	}
	w.run(50 * time.Second)
	if w.err != nil {
		t.Fatal(w.err)
	}
	queue, _ := b.mean(w, 20*time.Second)
	sum, squares := 0.0, 0.0
	for i, f := range flows {
		n := float64(f.delivered - before[i])
		sum, squares = sum+n, squares+n*n
		t.Logf("circuit %d: %.1f%%", i, n*100*perCell(mbit).Seconds()/30)
	}
	fair := sum * sum / 8 / squares // Jain's index: 1 when all have the same
	t.Logf("Jain's index %.3f, %.0f cells wait", fair, queue)
	if fair < 0.9 {
		t.Errorf("Jain's index is %.3f, want 0.9", fair)
	}
}
