package bench

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const ( // our choice
	minBatches = 5  // their median is the figure, so that a disturbed one does not count
	perBudget  = 20 // batches in the time for a figure, about

	maxBatch  = 50 * time.Millisecond // so that an interruption is soon noticed
	maxGrowth = 100                   // of a batch from one to the next, while its size is found
)

// A loop is an operation to be timed, many at a time.
type loop struct {
	prepare func(n int) error // before each batch, not timed; nil: nothing
	run     func(n int) error // n operations
	most    int               // in one batch; 0 for any number
}

// each returns what one operation costs in processor time of this process, all its
// threads together: the median of several batches. Where the system counts that
// too coarsely it is the time that goes by.
func (r *run) each(ctx context.Context, l loop) (cost, error) {
	target := min(maxBatch, r.Time/perBudget)
	n, err := l.size(target)
	if err != nil {
		return 0, err
	}
	var costs []float64
	for began := time.Now(); len(costs) < minBatches || time.Since(began) < r.Time; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		took, err := l.batch(n)
		if err != nil {
			return 0, err
		}
		costs = append(costs, float64(took)/float64(n))
	}
	return cost(median(costs)), nil
}

// A cost is what one operation takes, in nanoseconds and parts of them.
type cost float64

func (c cost) ns() float64 { return float64(c) }
func (c cost) us() float64 { return float64(c) / 1e3 }

// perSecond returns how many one core does in a second.
func (c cost) perSecond() float64 { return 1e9 / float64(c) }

// mibPerSecond returns what one core moves if each operation moves that many bytes.
func (c cost) mibPerSecond(bytes int) float64 { return float64(bytes) / mib * c.perSecond() }

// size returns how many operations take about target.
func (l *loop) size(target time.Duration) (int, error) {
	for n := 1; ; {
		began := time.Now()
		if _, err := l.batch(n); err != nil {
			return 0, err
		}
		took := max(time.Since(began), time.Microsecond)
		if took >= target*3/4 || l.most > 0 && n >= l.most {
			return n, nil
		}
		n = int(min(float64(n)*maxGrowth, max(float64(n)+1, float64(n)*float64(target)/float64(took))))
		if l.most > 0 {
			n = min(n, l.most)
		}
	}
}

// batch does n operations and returns what they cost together.
func (l *loop) batch(n int) (time.Duration, error) {
	if l.prepare != nil {
		if err := l.prepare(n); err != nil {
			return 0, err
		}
	}
	began, cpu := time.Now(), ownCPU()
	if err := l.run(n); err != nil {
		return 0, err
	}
	if used := ownCPU() - cpu; fineCPU && used > 0 {
		return used, nil
	}
	return time.Since(began), nil
}

// rate returns how many operations a number of goroutines do in a second together.
func (r *run) rate(ctx context.Context, workers int, op func() error) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Time)
	defer cancel()
	var n atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, workers)
	began := time.Now()
	for i := range workers {
		wg.Go(func() {
			for first := true; first || ctx.Err() == nil; first = false {
				if errs[i] = op(); errs[i] != nil {
					return
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return float64(n.Load()) / took.Seconds(), nil
}

// median returns the middle one of some values; it sorts them.
func median(v []float64) float64 { return quantile(v, 0.5) }

// quantile returns the value below which a share of all lies; it sorts them.
func quantile(v []float64, share float64) float64 {
	slices.Sort(v)
	return v[min(len(v)-1, int(share*float64(len(v))))]
}
