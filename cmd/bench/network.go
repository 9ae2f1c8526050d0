package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"tunic/cmd/localnet"
)

const ( // our choice: a network of the size that the comparison with others uses
	authorities = 3
	relays      = 5

	manyStreams = 8                     // at once, each on a circuit of its own
	firstBytes  = 40                    // requests on new circuits
	firstShort  = 5                     // the same if Short
	readyTime   = 2 * time.Second       // that a network takes to start, about, for the progress
	readyLimit  = 60 * time.Second      // and at most
	fetchTime   = 15 * time.Millisecond // that a request on a new circuit takes, about
)

func plan(dir string) localnet.Plan {
	return localnet.Plan{Dir: filepath.Join(dir, "net"), Name: "bench", Authorities: authorities, Relays: relays, Exits: relays, Clients: 1, LogLevel: "warn"}
}

// A subject is a running network under measurement.
type subject struct {
	socks string                                       // its client's proxy
	cpu   func(context.Context) (time.Duration, error) // of all nodes so far; nil where the system does not tell
}

// networkSteps measures a network whose nodes share a process.
func networkSteps(r *run) []step {
	return r.threeHops(networkName, func(ctx context.Context, dir string) (*subject, error) {
		s := &subject{}
		var ready sharedNetwork
		p, err := r.startPart(ctx, networkPart, runtime.GOMAXPROCS(0), sharedNetwork{Dir: dir}, &ready)
		if err != nil {
			return nil, err
		}
		r.undo = append(r.undo, p.stop)
		s.socks, s.cpu = ready.Socks, p.cpu
		return s, nil
	})
}

// processesSteps measures a network whose nodes are processes.
func processesSteps(r *run) []step {
	return r.threeHops(processesName, func(ctx context.Context, dir string) (*subject, error) {
		ctx, cancel := context.WithTimeout(ctx, readyLimit)
		defer cancel()
		n, err := localnet.Start(ctx, plan(dir), localnet.Options{Executable: r.Executable, Tied: true})
		if err != nil {
			return nil, err
		}
		r.undo = append(r.undo, func() error { return n.Stop(context.WithoutCancel(ctx)) })
		s := &subject{socks: n.Node("client1").Socks}
		if !othersCPU {
			r.note("processor time of other processes is not measured on %s: processes has none", runtime.GOOS)
			return s, nil
		}
		s.cpu = func(context.Context) (sum time.Duration, err error) {
			for _, nd := range n.Nodes {
				t, e := processCPU(nd.PID)
				sum, err = sum+t, errors.Join(err, e)
			}
			return sum, err
		}
		return s, nil
	})
}

// A sharedNetwork configures the network part, which answers with where its proxy is.
type sharedNetwork struct {
	Dir   string `json:"dir"`
	Socks string `json:"socks"`
}

// startNetwork is the network part.
func startNetwork(d *json.Decoder) (ready any, stop func() error, err error) {
	var cfg sharedNetwork
	if err := d.Decode(&cfg); err != nil {
		return nil, nil, fmt.Errorf("configuration: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyLimit)
	defer cancel()
	n, err := localnet.StartInProcess(ctx, plan(cfg.Dir), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	return sharedNetwork{Socks: n.Node("client1").Socks}, n.Stop, nil
}

// threeHops are the steps for a network that start starts below a directory.
func (r *run) threeHops(name string, start func(ctx context.Context, dir string) (*subject, error)) []step {
	var s *subject
	var src *source
	requests := firstBytes
	if r.Short {
		requests = firstShort
	}
	return []step{
		{"start", readyTime, func(ctx context.Context) (err error) {
			dir, err := os.MkdirTemp("", "tunic-bench-")
			if err != nil {
				return err
			}
			r.undo = append(r.undo, func() error { return os.RemoveAll(dir) })
			if src, err = newSource(); err != nil {
				return err
			}
			r.undo = append(r.undo, src.close)
			began := time.Now()
			if s, err = start(ctx, dir); err != nil {
				return err
			}
			r.add(name, "start", figure{readySeconds, time.Since(began).Seconds()})
			return nil
		}},
		{oneStream, r.Time * 5 / 4, func(ctx context.Context) error { return r.streams(ctx, name, oneStream, s, src, 1) }},
		{eightStreams, r.Time * 5 / 4, func(ctx context.Context) error { return r.streams(ctx, name, eightStreams, s, src, manyStreams) }},
		{"first byte on a new circuit", time.Duration(requests) * fetchTime, func(ctx context.Context) error {
			return r.firstBytes(ctx, name, s, src, requests)
		}},
	}
}

// The cases that are compared with the floor.
const (
	oneStream    = "one stream"
	eightStreams = "eight streams on eight circuits"
)

// streams measures that many streams at once, each on a circuit of its own.
func (r *run) streams(ctx context.Context, name, what string, s *subject, src *source, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var got atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	failed, started := make(chan struct{}), make(chan struct{}, n)
	var once sync.Once
	var broken error // set before failed is closed
	for range n {
		wg.Go(func() { // ends with ctx
			err := src.drain(ctx, s.socks, func(n int) {
				if n == 0 {
					started <- struct{}{}
				}
				got.Add(int64(n))
			})
			if ctx.Err() == nil {
				once.Do(func() { broken = err; close(failed) })
			}
		})
	}
	for range n {
		select {
		case <-started:
		case <-failed:
			return broken
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	w, err := r.watch(ctx, failed, s.cpu, got.Load)
	if errors.Is(err, errLoad) {
		return broken
	}
	if err != nil {
		return err
	}
	r.add(name, what, figure{mibPerSecond, w.mibPerSecond()}, figure{cpuPerGiB, w.cpuPerGiB()})
	return nil
}

// firstBytes measures how long the first byte of a small answer takes on a circuit
// that nobody has used.
func (r *run) firstBytes(ctx context.Context, name string, s *subject, src *source, requests int) error {
	var cpu0, cpu1 time.Duration
	var err error
	if s.cpu != nil {
		if cpu0, err = s.cpu(ctx); err != nil {
			return err
		}
	}
	var took []float64
	for range requests {
		d, err := src.fetch(ctx, s.socks)
		if err != nil {
			return err
		}
		took = append(took, 1e3*d.Seconds())
	}
	perFetch := math.NaN()
	if s.cpu != nil {
		if cpu1, err = s.cpu(ctx); err != nil {
			return err
		}
		perFetch = 1e3 * (cpu1 - cpu0).Seconds() / float64(requests)
	}
	r.add(name, "first byte on a new circuit", figure{firstMedian, median(took)}, figure{firstP90, quantile(took, 0.9)}, figure{cpuPerFetch, perFetch})
	return nil
}
