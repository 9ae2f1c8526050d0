package relay

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tunic/cell/ceiling"
)

var noon = time.Unix(1_800_000_000, 0).UTC()

func TestObservedIsTheBestTenSeconds(t *testing.T) {
	var w window
	for s := range 30 { // 1 MB/s for 30 s
		w.add(noon.Add(time.Duration(s)*time.Second), 1_000_000)
	}
	if got := w.best(noon.Add(time.Minute)); got != 1_000_000 {
		t.Errorf("best = %d, want 1000000", got)
	}
	w.add(noon.Add(2*time.Minute), 5_000_000) // a burst of one second counts a tenth
	if got := w.best(noon.Add(2 * time.Minute)); got != 1_000_000 {
		t.Errorf("best = %d after a short burst", got)
	}
	w.add(noon.Add(3*time.Minute), 20_000_000)
	if got := w.best(noon.Add(3 * time.Minute)); got != 2_000_000 {
		t.Errorf("best = %d, want 2000000", got)
	}
	if got := w.best(noon.Add((keptDays - 1) * 24 * time.Hour)); got != 2_000_000 {
		t.Errorf("best = %d on the last day that counts", got)
	}
	if got := w.best(noon.Add(keptDays * 24 * time.Hour)); got != 0 {
		t.Errorf("best = %d a day later", got)
	}
}

// The window agrees with a model that keeps every second.
func TestWindowAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		bytes := map[int64]uint64{}
		var best uint64
		second := noon.Unix()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			second += rapid.Int64Range(0, 14).Draw(t, "gap")
			n := rapid.Uint64Range(0, 1<<30).Draw(t, "bytes")
			w.add(time.Unix(second, 0), n)
			bytes[second] += n
			var sum uint64
			for s := second - windowSeconds + 1; s <= second; s++ {
				sum += bytes[s]
			}
			best = max(best, sum/windowSeconds)
		}
		if got := w.best(time.Unix(second, 0)); got != best {
			t.Fatalf("best = %d, model says %d", got, best)
		}
	})
}

func TestMeterLimitsAndChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(new(ceiling.Gauge))
		pass := func(n int) time.Duration {
			start := time.Now()
			for range n {
				if err := m.WaitN(t.Context(), 16_000); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(start)
		}
		if d := pass(1000); d != 0 {
			t.Errorf("16 MB took %v without a limit", d)
		}
		m.set(1_600_000, 32_000)
		if d := pass(102); d < 900*time.Millisecond || d > 1100*time.Millisecond {
			t.Errorf("1.6 MB at 1.6 MB/s took %v", d)
		}
		m.set(16_000_000, 0)
		pass(1)
		time.Sleep(time.Minute)
		pass(1000) // the burst of one second
		if d := pass(1000); d < 900*time.Millisecond || d > 1100*time.Millisecond {
			t.Errorf("16 MB at 16 MB/s took %v", d)
		}
		m.set(1000, 1) // a record must pass whatever the operator says
		if m.Burst() < minBurst {
			t.Errorf("burst %d is less than a record", m.Burst())
		}
		m.set(0, 0)
		if d := pass(1000); d > 17*time.Second {
			t.Errorf("took %v after the limit was lifted", d)
		}
	})
}

func TestHistorySurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	read, write := newMeter(new(ceiling.Gauge)), newMeter(new(ceiling.Gauge))
	for s := range 10 {
		now := noon.Add(time.Duration(s) * time.Second)
		read.window.add(now, 3_000_000)
		write.window.add(now, 2_000_000)
	}
	now := noon.Add(time.Hour)
	if got := observed(read, write, now); got != 2_000_000 {
		t.Fatalf("observed %d, want the slower direction's", got)
	}
	if err := saveHistory(dir, read, write, now); err != nil {
		t.Fatal(err)
	}
	read, write = newMeter(new(ceiling.Gauge)), newMeter(new(ceiling.Gauge))
	if err := loadHistory(dir, read, write, now); err != nil {
		t.Fatal(err)
	}
	if got := observed(read, write, now); got != 2_000_000 {
		t.Errorf("observed %d after a restart", got)
	}
	read, write = newMeter(new(ceiling.Gauge)), newMeter(new(ceiling.Gauge))
	if err := loadHistory(dir, read, write, now.Add(keptDays*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := observed(read, write, now); got != 0 {
		t.Errorf("observed %d from a history that is too old", got)
	}
	if err := loadHistory(t.TempDir(), read, write, now); err != nil {
		t.Errorf("without a file: %v", err)
	}
}

func TestIdleRelayClaimsNothing(t *testing.T) {
	read, write := newMeter(new(ceiling.Gauge)), newMeter(new(ceiling.Gauge))
	read.window.add(noon, 10*(minObserved-1))
	write.window.add(noon, 10*minObserved)
	if got := observed(read, write, noon); got != 0 {
		t.Errorf("observed %d", got)
	}
	read.window.add(noon, 10)
	if got := observed(read, write, noon); got != minObserved {
		t.Errorf("observed %d, want %d", got, minObserved)
	}
}

func FuzzHistory(f *testing.F) {
	f.Add(historyHeader + "\nread 20833 1000000\nwrite 20833 5\n")
	f.Add(historyHeader + "\nread -1 18446744073709551615\nwrite 99999999999999999999 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		read, write := newMeter(new(ceiling.Gauge)), newMeter(new(ceiling.Gauge))
		if readHistory(strings.NewReader(text), read, write, noon) == nil && !strings.HasPrefix(text, historyHeader) {
			t.Fatalf("took %q for a history", text)
		}
		observed(read, write, noon)
	})
}

func BenchmarkMeter(b *testing.B) {
	b.ReportAllocs()
	m := newMeter(new(ceiling.Gauge))
	n := 1 + rand.IntN(16_000)
	for b.Loop() {
		m.WaitN(b.Context(), n)
	}
}
