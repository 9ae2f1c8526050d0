package congestion

import (
	"fmt"
	"testing"
	"time"
)

// maxBDP is the most that the paths of the grid hold, in cells: 7 MiB.
const maxBDP = 7 << 20 / 517

// bdpOf returns how many cells a path holds.
func bdpOf(mbit float64, rtt time.Duration) float64 { return float64(rtt) / float64(perCell(mbit)) }

// A trial is one circuit alone on a path.
type trial struct {
	mbit   float64
	rtt    time.Duration
	narrow int           // the link that is the bottleneck; 0: the sender's own
	wider  float64       // the others' rate, as a multiple
	tick   time.Duration // of the machines on the way; see link
}

// A result is what the circuit made of it, from 20 round trips after its start.
type result struct {
	used   float64 // of what the path could have moved
	queue  float64 // cells at the bottleneck, on average
	most   int     // from the start on
	window int     // in the end
}

func (tr trial) run(t testing.TB) result {
	w := &world{}
	rates := [3]float64{tr.wider * tr.mbit, tr.wider * tr.mbit, tr.wider * tr.mbit}
	rates[tr.narrow] = tr.mbit
	f := connect(Default(), rates, tr.rtt, nil)
	for _, l := range f.out {
		l.tick = tr.tick
	}
	f.back.tick = tr.tick
	w.start(f, 0)
	from, until := 20*tr.rtt, max(60*tr.rtt, 2*time.Second)
	w.run(from)
	narrow, before := f.out[tr.narrow], f.delivered
	_, most := narrow.mean(w, 0)
	narrow.look(w)
	w.run(until)
	if w.err != nil {
		t.Fatal(w.err)
	}
	mean, later := narrow.mean(w, from)
	return result{
		used:  float64(f.delivered-before) * float64(perCell(tr.mbit)) / float64(until-from),
		queue: mean, most: max(most, later), window: f.s.Window(),
	}
}

// floor is how many cells may wait where two bandwidth-delay products are less: the
// window goes in steps of a SENDME, and a queue that drains in some milliseconds is
// not worth a slower circuit.
func floor(mbit float64) float64 {
	w := view{rate: int(time.Second / perCell(mbit))}
	return float64(w.scaled(Default().Delta))
}

// TestFillsEveryPath is the grid: a circuit alone fills every path, and does not
// fill its queue.
func TestFillsEveryPath(t *testing.T) {
	rates := []float64{10, 20, 50, 100, 200, 500, 1_000}
	trips := []int{1, 3, 10, 30, 60, 100, 200, 300}
	for _, tt := range []struct {
		name         string
		narrow       int
		wider        float64
		tick         time.Duration
		rates, trips int // every n-th of them
	}{
		{"bottleneck at the middle", 1, 2, 0, 1, 1},
		{"at the sender's own link", 0, 4, 0, 2, 2},
		{"behind much faster links", 2, 10, 0, 2, 2},
		{"hardly narrower than the others", 1, 1.2, 0, 2, 2},
		{"machines that forward once in a millisecond", 1, 4, time.Millisecond, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			table := fmt.Sprintf("\n%7s %4s %7s %7s %7s %6s %7s %7s", "Mbit/s", "ms", "BDP", "used", "queue", "ms", "most", "window")
			for i := 0; i < len(rates); i += tt.rates {
				for j := 0; j < len(trips); j += tt.trips {
					mbit, rtt := rates[i], time.Duration(trips[j])*time.Millisecond
					bdp := bdpOf(mbit, rtt)
					if bdp > maxBDP {
						continue
					}
					r := trial{mbit, rtt, tt.narrow, tt.wider, tt.tick}.run(t)
					table += fmt.Sprintf("\n%7.0f %4d %7.0f %6.1f%% %7.0f %6.1f %7d %7d", mbit, trips[j], bdp,
						100*r.used, r.queue, r.queue*perCell(mbit).Seconds()*1000, r.most, r.window)
					if r.used < 0.85 {
						t.Errorf("%v Mbit/s, %v: %.1f%% used, want 85%%", mbit, rtt, 100*r.used)
					}
					if most := max(2*bdp, floor(mbit)); r.queue > most {
						t.Errorf("%v Mbit/s, %v: %.0f cells wait, want %.0f at most", mbit, rtt, r.queue, most)
					}
				}
			}
			t.Log(table)
		})
	}
}
