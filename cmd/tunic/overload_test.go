package main

import (
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/link/linktest"
	"tunic/circuit"
	"tunic/circuit/handshake"
)

// BenchmarkOverload measures one download through three relays, each node a process
// of its own, while something else goes wrong at one of them: alternately without
// and with it. It prints the median share of the undisturbed rate, how long after
// the end of the disturbance the rate was back, and the most memory that the relay
// under load had, beside the bound that its ceiling sets. All share the machine's processors: what the disturbance itself
// costs them is part of the share.
//
//	go test -run '^$' -bench Overload -benchtime 1x ./cmd/tunic
func BenchmarkOverload(b *testing.B) {
	for _, d := range []disturbance{
		{"handshakes", 0, floodHandshakes},
		{"streams", 2, openStreams},
		{"stopped reader", 0, stopReader},
		{"stopped destination", 2, stopDestination},
	} {
		b.Run(d.name, func(b *testing.B) { d.measure(b) })
	}
}

// A disturbance is something that goes wrong at one relay of the path 0, 1, 2.
type disturbance struct {
	name  string
	at    int // the relay
	start func(l *loaded, report bool) (stop func())
}

const (
	overloadMemory = 256 << 20 // bytes: the ceiling of each relay
	pairs          = 5
	undisturbed    = 1500 * time.Millisecond
	disturbed      = 3 * time.Second
	recovered      = 80               // per cent of the undisturbed rate
	recovery       = 10 * time.Second // waited for, at most
)

func (d *disturbance) measure(b *testing.B) {
	l := startLoaded(b, 3, overloadMemory)
	c, err := l.circuit(l.links(loadClient(60_000)), 0, 1, 2)
	if err != nil {
		b.Fatal(err)
	}
	f, err := l.download(c)
	if err != nil {
		b.Fatal(err)
	}
	f.rate(undisturbed)
	var shares, recoveries, costs []float64
	var most int64
	for i := range pairs {
		cpu := busy(b, l.relays[d.at].PID)
		alone := f.rate(undisturbed)
		idle := (busy(b, l.relays[d.at].PID) - cpu) / (alone * undisturbed.Seconds()) // for each byte
		stop := d.start(l, i == 0)
		with := 0.0
		cpu = busy(b, l.relays[d.at].PID)
		var parts []int
		for range 6 {
			part := f.rate(disturbed / 6)
			with += part / 6
			parts = append(parts, int(100*part/alone))
			_, anon := resident(b, l.relays[d.at].PID)
			most = max(most, anon)
		}
		extra := (busy(b, l.relays[d.at].PID)-cpu)/disturbed.Seconds() - idle*with
		costs = append(costs, 100*extra)
		stop()
		b.Logf("%.0f MiB/s alone, then %% of it in each half second: %v", alone/(1<<20), parts)
		shares = append(shares, 100*with/alone)
		recoveries = append(recoveries, f.recovery(alone))
	}
	slices.Sort(shares)
	slices.Sort(costs)
	b.ReportMetric(shares[pairs/2], "%-of-rate")
	b.ReportMetric(costs[pairs/2], "%-of-a-core")
	b.ReportMetric(shares[0], "%-worst")
	b.ReportMetric(slices.Max(recoveries), "ms-recovery")
	b.ReportMetric(float64(most)/1024, "MiB-most")
	b.ReportMetric((overloadMemory+overloadMemory/16)/float64(1<<20)+64, "MiB-bound") // see docs/performance.md
}

// recovery returns how many milliseconds it takes until the rate is back.
func (f *download) recovery(alone float64) float64 {
	from := time.Now()
	for time.Since(from) < recovery {
		began := time.Since(from)
		if f.rate(200*time.Millisecond) >= alone*recovered/100 {
			return float64(began.Milliseconds())
		}
	}
	return float64(recovery.Milliseconds())
}

const ( // ten times what one worker can do
	floodClients  = 64
	floodRate     = 40_000 // handshakes a second, of all clients
	floodDistinct = 6000   // more than are answered while it lasts
	perRecord     = cell.RecordCells / cell.Fragments
)

// A flooder is a client's link with records of CREATE cells that are ready to go.
type flooder struct {
	h       *linktest.Hostile
	records [][]byte
}

// floodHandshakes begins circuits from many clients at once, many times faster than
// a relay can answer.
func floodHandshakes(l *loaded, report bool) (stop func()) {
	before := l.status(l.relays[0]).Relay
	clients := newFlooders(l)
	ctx, cancel := context.WithCancel(l.b.Context())
	var all sync.WaitGroup
	var sent atomic.Int64
	for _, c := range clients {
		all.Go(func() { io.Copy(io.Discard, c.h.Conn) }) // ends when the connection closes
	}
	from := time.Now()
	for k, c := range clients {
		all.Go(func() { // ends with ctx, its records or its connection
			for i, record := range c.records {
				due := time.Duration(i*len(clients)+k) * time.Second * perRecord / floodRate
				select {
				case <-time.After(due - time.Since(from)):
				case <-ctx.Done():
					return
				}
				if _, err := c.h.Conn.Write(record); err != nil {
					return
				}
				sent.Add(perRecord)
			}
		})
	}
	return func() {
		took := time.Since(from).Seconds()
		cancel()
		for _, c := range clients {
			c.h.Close()
		}
		all.Wait()
		if after := l.status(l.relays[0]).Relay; report {
			l.b.ReportMetric(float64(sent.Load())/took, "asked/s")
			l.b.ReportMetric(float64(after.Handshakes-before.Handshakes)/took, "answered/s")
			for why, n := range after.Refused {
				l.b.Logf("refused for %s: %d", why, n-before.Refused[why])
			}
		}
	}
}

func newFlooders(l *loaded) []*flooder {
	messages := make([][]byte, floodDistinct)
	inParallel(len(messages), 2, func(i int) {
		_, msg, err := handshake.Start(l.params.Network, l.hop(0).ID, l.hop(0).Key, handshake.Extensions{})
		if err != nil {
			l.b.Error(err)
		}
		messages[i] = msg
	})
	e := l.entries[l.relays[0].Name]
	target := link.Target{ID: e.ID, Key: e.LinkKey, Addrs: e.Addrs}
	var clients []*flooder
	for i := range floodClients {
		conn, err := sourced{own: loadClient(50_000 + i)}.Dial(l.b.Context(), e.Addrs[0])
		if err != nil {
			l.b.Fatal(err)
		}
		f := &flooder{h: linktest.Initiate(l.b, conn, target, linktest.Options{Prologue: linktest.Prologue(l.params.Network, e.ID)})}
		for id := uint32(1); len(f.records) < int(disturbed.Seconds()+1)*floodRate/floodClients/perRecord; {
			var cells []linktest.Cell
			for range perRecord {
				msg := messages[rand.N(len(messages))]
				for k := range cell.Fragments {
					body := make([]byte, cell.BodySize)
					cell.PutFragment(body, cell.AssembleCreate, k, msg)
					cells = append(cells, linktest.Cell{ID: cell.CircuitID(id).WithInitiator(true), Command: cell.Create, Body: body})
				}
				id++
			}
			f.records = append(f.records, f.h.Record(cells...))
		}
		clients = append(clients, f)
	}
	return clients
}

// openStreams opens 5,000 streams at once, and closes them in the end.
func openStreams(l *loaded, report bool) (stop func()) {
	const n, each = 5000, 250
	var circuits [n / each]*circuit.Circuit
	for i := range circuits {
		c, err := l.circuit(l.links(loadClient(50_000+i)), 0, 1, 2)
		if err != nil {
			l.b.Fatal(err)
		}
		circuits[i] = c
	}
	var opened, refused atomic.Int64
	var all sync.WaitGroup
	from := time.Now()
	for i := range n {
		all.Go(func() {
			if _, err := l.begin(circuits[i/each], wantNothing); err == nil {
				opened.Add(1)
			} else {
				refused.Add(1)
			}
			if opened.Load()+refused.Load() == n && report {
				l.b.ReportMetric(float64(time.Since(from).Milliseconds()), "ms-all-answered")
			}
		})
	}
	return func() {
		all.Wait()
		for _, c := range circuits {
			c.Close()
		}
		if report {
			l.b.ReportMetric(float64(opened.Load()), "opened")
			l.b.ReportMetric(float64(refused.Load()), "refused")
		}
	}
}

// stopReader asks for bytes on many circuits of one link and reads none of them.
func stopReader(l *loaded, _ bool) (stop func()) {
	limit := &unread{}
	p := link.NewPool(link.Config{Network: l.params.Network, ReadLimit: limit, Transport: sourced{own: loadClient(50_000)}, Limits: link.Limits{Workers: 1}})
	for range 50 {
		c, err := l.circuit(p, 0, 1, 2)
		if err == nil {
			_, err = l.begin(c, wantBytes)
		}
		if err != nil {
			break // the link stands still already
		}
	}
	limit.stop.Store(true)
	return func() { p.Close() }
}

// unread is a limiter that lets nothing more be read once it is told so.
type unread struct{ stop atomic.Bool }

func (u *unread) Burst() int { return 1 << 20 }

func (u *unread) AllowN(time.Time, int) bool { return !u.stop.Load() }

func (u *unread) WaitN(ctx context.Context, _ int) error {
	if u.stop.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// stopDestination sends to many destinations that do not read.
func stopDestination(l *loaded, _ bool) (stop func()) {
	var all sync.WaitGroup
	var circuits []*circuit.Circuit
	much := make([]byte, 64<<20)
	for i := range 100 {
		c, err := l.circuit(l.links(loadClient(50_000+i%4)), 0, 1, 2)
		if err != nil {
			l.b.Fatal(err)
		}
		circuits = append(circuits, c)
		s, err := l.begin(c, wantStop)
		if err != nil {
			l.b.Fatal(err)
		}
		all.Go(func() { s.Write(much) }) // ends with the circuit
	}
	return func() {
		for _, c := range circuits {
			c.Close()
		}
		all.Wait()
	}
}
