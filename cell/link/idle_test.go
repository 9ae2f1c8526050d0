package link_test

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"tunic/cell/link"
	"tunic/cell/link/linktest"
)

// BenchmarkIdleLinks prints what an idle link over TCP takes of the heap and of
// stacks: at the node that accepted it, after its handshake and some padding. The
// other ends are bare connections, some 0.6 KB each, which count with it.
func BenchmarkIdleLinks(b *testing.B) {
	const n = 9500 // both ends of each, in the 20,000 files that many systems allow
	relay := linktest.NewRelay()
	cfg := relay.Config(&linktest.Handler{})
	cfg.Transport, cfg.MaxLinks = link.TCP{}, 3*n
	cfg.Limits = link.Limits{SourceLinks: n, SourceRate: 1e6, SourceBurst: n}
	cfg.Padding = link.Padding{Low: time.Second, High: 2 * time.Second}
	p := linktest.NewPool(b, cfg)
	target := relay.Target(linktest.Serve(b, p, cfg.Transport, "127.0.0.1"))
	for range b.N {
		before := inUse()
		conns := make([]net.Conn, 0, n)
		for range n {
			conn, err := link.TCP{}.Dial(context.Background(), target.Addrs[0])
			if err != nil {
				b.Fatal(err)
			}
			linktest.Initiate(b, conn, target, linktest.Options{Padding: [4]byte{3, 232, 7, 208}})
			conns = append(conns, conn)
		}
		for len(p.Links()) < n {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(2 * time.Second) // each has sent padding
		var grown runtime.MemStats
		runtime.ReadMemStats(&grown) // stacks as they are while padding comes and goes
		after := inUse()
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/link")
		b.ReportMetric(float64(after.HeapInuse-before.HeapInuse)/n, "spans-B/link")
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/n, "stack-B/link")
		b.ReportMetric(float64(grown.StackInuse-before.StackInuse)/n, "stack-B/link-grown")
		b.ReportMetric(float64(runtime.NumGoroutine())/n, "goroutines/link")
		for _, c := range conns {
			c.Close()
		}
		for len(p.Links()) > 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// inUse returns what is in use once all garbage is gone.
func inUse() (m runtime.MemStats) {
	for range 3 { // pools keep what they hold over one collection; stacks shrink by half
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m
}
