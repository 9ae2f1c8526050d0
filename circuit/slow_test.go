package circuit_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"tunic/circuit"
)

// BenchmarkSlowReader is a download by a reader of a given pace, for some seconds:
// how fast it goes, how often the reader has to stop the sender, and how much it
// holds meanwhile.
func BenchmarkSlowReader(b *testing.B) {
	for _, mb := range []int{2, 20, 60, 1000} {
		b.Run(fmt.Sprintf("MB/s=%d", mb), func(b *testing.B) {
			c := serveCircuit(b, func(s *circuit.Stream) { s.ReadFrom(endless{}) })
			s, err := c.Dial(context.Background(), "any", 1, 0)
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, mb*1000) // of a millisecond
			var stops, reads, held int64
			b.SetBytes(int64(len(buf)))
			start := time.Now()
			for b.Loop() {
				time.Sleep(time.Until(start.Add(time.Duration(reads) * time.Millisecond)))
				reads++
				before := s.Stopped()
				if _, err := io.ReadFull(s, buf); err != nil {
					b.Fatal(err)
				}
				if before && !s.Stopped() {
					stops++
				}
				held += int64(s.Unread())
			}
			b.ReportMetric(float64(stops)/(float64(reads)*float64(len(buf))/1e6), "XOFF/MB")
			b.ReportMetric(float64(held)/float64(reads)/1e3, "kB-held")
		})
	}
}
