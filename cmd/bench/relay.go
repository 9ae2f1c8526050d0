package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"tunic/cell"
)

// A forwardCase is how many circuits and links a relay is measured with.
type forwardCase struct{ circuits, links int }

func forwardCases() []forwardCase { return []forwardCase{{1, 1}, {16, 4}, {256, 64}} }

// name is the case's name in the report, which is the same on every machine.
func (c forwardCase) name(cores int) string {
	on := "all cores"
	if cores == 1 {
		on = "one core"
	}
	return fmt.Sprintf("%s on %s, %s", plural(c.circuits, "circuit"), plural(c.links, "link"), on)
}

// startTime is about what the processes of one case take to start, our estimate
// for the progress.
const startTime = 200 * time.Millisecond

func relaySteps(r *run) []step {
	var all []step
	cores := []int{1}
	if n := runtime.GOMAXPROCS(0); n > 1 {
		cores = append(cores, n)
	}
	for _, n := range cores {
		for _, c := range forwardCases() {
			all = append(all, step{c.name(n), startTime + r.Time*5/4, func(ctx context.Context) error { return r.forward(ctx, c, n) }})
		}
	}
	return all
}

// forward measures a relay on that many cores under a load out of this process.
func (r *run) forward(ctx context.Context, c forwardCase, cores int) (err error) {
	load, err := newLoad(c.links, c.circuits)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, load.close()) }()
	var relay peer
	p, err := r.startPart(ctx, relayPart, cores, forwarding{Next: load.peers()}, &relay)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := load.start(ctx, relay); err != nil {
		return err
	}
	w, err := r.watch(ctx, load.failed, p.cpu, load.got.Load)
	if err != nil {
		return errors.Join(err, load.check())
	}
	w.amount *= cell.Size
	r.add("relay", c.name(cores), figure{mibPerSecond, w.mibPerSecond()}, figure{coresBusy, w.cores()},
		figure{cpuPerGiB, w.cpuPerGiB()}, figure{capacity, float64(cores) * gib / mib / w.cpuPerGiB()})
	return nil
}

// A window is what happened in a stretch of time under load.
type window struct {
	wall, cpu time.Duration
	amount    int64 // bytes
}

func (w window) mibPerSecond() float64 { return float64(w.amount) / mib / w.wall.Seconds() }
func (w window) cores() float64        { return w.cpu.Seconds() / w.wall.Seconds() }

// cpuPerGiB is NaN where the processor time is not known.
func (w window) cpuPerGiB() float64 {
	if w.cpu <= 0 {
		return math.NaN()
	}
	return w.cpu.Seconds() / (float64(w.amount) / gib)
}

// watch waits until a load has run a while, then looks at it for the time of a
// figure: how much processor time was used, and how far the amount has risen. cpu
// is nil where it can't be known. The end of failed ends it early. Where nothing has
// come through yet it looks longer: on a busy machine that says nothing.
func (r *run) watch(ctx context.Context, failed <-chan struct{}, cpu func(context.Context) (time.Duration, error), amount func() int64) (w window, err error) {
	used := func(context.Context) (time.Duration, error) { return 0, nil }
	if cpu != nil {
		used = cpu
	}
	if err := await(ctx, failed, r.Time/4); err != nil {
		return w, err
	}
	cpu0, err := used(ctx)
	if err != nil {
		return w, err
	}
	began, amount0 := time.Now(), amount()
	for first := true; first || amount() == amount0; first = false {
		if err := await(ctx, failed, r.Time); err != nil {
			return w, err
		}
	}
	cpu1, err := used(ctx)
	if err != nil {
		return w, err
	}
	return window{wall: time.Since(began), cpu: cpu1 - cpu0, amount: amount() - amount0}, nil
}

var errLoad = errors.New("the load broke off")

// await is pause that also ends when failed is closed.
func await(ctx context.Context, failed <-chan struct{}, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-failed:
		return errLoad
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
