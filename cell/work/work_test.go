package work

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A stopped pool has one worker, which is busy until release is called; what is
// submitted meanwhile waits.
func stopped(t *testing.T, cfg Config) (p *Pool, release func()) {
	t.Helper()
	cfg.Workers = 1
	p = New(cfg)
	gate := make(chan struct{})
	running := make(chan struct{})
	if !p.Submit(Authority, 0, func() { close(running); <-gate }, nil) {
		t.Fatal("an empty pool refused work")
	}
	<-running
	return p, sync.OnceFunc(func() { close(gate) })
}

// record returns entries that note their name when they run.
type record struct {
	mu  sync.Mutex
	ran []string
}

func (r *record) entry(name string) func() {
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ran = append(r.ran, name)
	}
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(r.ran)
}

func TestClassesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, release := stopped(t, Config{})
		var r record
		for range 3 {
			p.Submit(Stranger, 1, r.entry("s"), nil)
		}
		for range 2 {
			p.Submit(Relay, 2, r.entry("r"), nil)
			p.Submit(Authority, 3, r.entry("a"), nil)
		}
		release()
		synctest.Wait()
		if got, want := r.String(), "[s r a s r a s]"; got != want {
			t.Errorf("order %v, want %v", got, want)
		}
		p.Close()
	})
}

func TestSourcesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, release := stopped(t, Config{})
		var r record
		for i := range 4 {
			p.Submit(Stranger, 1, r.entry(fmt.Sprint("a", i)), nil)
		}
		p.Submit(Stranger, 2, r.entry("b0"), nil)
		p.Submit(Stranger, 3, r.entry("c0"), nil)
		p.Submit(Stranger, 2, r.entry("b1"), nil)
		release()
		synctest.Wait()
		if got, want := r.String(), "[a0 b0 c0 a1 b1 a2 a3]"; got != want {
			t.Errorf("order %v, want %v", got, want)
		}
		p.Close()
	})
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		class       Class
		total, want int
	}{
		{Stranger, 300, 100}, {Relay, 300, 200}, {Authority, 300, 300},
		{Stranger, 1024, 342}, {Relay, 1024, 683}, {Authority, 1024, 1024},
		{Stranger, 2, 2}, {Relay, 1, 1}, {Stranger, 3, 1}, {Authority + 1, 300, 300},
	} {
		if got := c.class.Share(c.total); got != c.want {
			t.Errorf("%v.Share(%d) = %d, want %d", c.class, c.total, got, c.want)
		}
	}
}

func TestThirdsAreKept(t *testing.T) {
	p, release := stopped(t, Config{MaxQueue: 9, MaxDelay: time.Hour})
	defer p.Close()
	defer release()
	fill := func(class Class) (n int) {
		for p.Submit(class, uint64(class), func() {}, nil) {
			n++
		}
		return n
	}
	if n := fill(Stranger); n != 3 {
		t.Errorf("strangers got %d of 9 places, want 3", n)
	}
	if n := fill(Relay); n != 3 {
		t.Errorf("relays got %d of 9 places, want 3", n)
	}
	if n := fill(Authority); n != 3 {
		t.Errorf("authorities got %d of 9 places, want 3", n)
	}
	if n := p.Waiting(Stranger); n != 3 {
		t.Errorf("%d strangers wait, want 3", n)
	}
}

func TestStrangersNeverHoldMoreThanTheirThird(t *testing.T) {
	p, release := stopped(t, Config{MaxQueue: 9, MaxDelay: time.Hour})
	defer p.Close()
	defer release()
	n := 0
	for i := range uint64(100) { // from as many sources
		if p.Submit(Stranger, i, func() {}, nil) {
			n++
		}
	}
	if n != 3 {
		t.Errorf("strangers got %d of 9 places, want 3", n)
	}
}

func TestGreedySourceMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, release := stopped(t, Config{MaxQueue: 9, MaxDelay: time.Hour})
		var r record
		for i := range 3 {
			p.Submit(Stranger, 1, r.entry(fmt.Sprint("a", i)), r.entry(fmt.Sprint("a", i, " dropped")))
		}
		if !p.Submit(Stranger, 2, r.entry("b"), nil) {
			t.Error("a new source was refused while another had three entries")
		}
		if p.Submit(Stranger, 2, r.entry("b1"), nil) {
			t.Error("a source got a second place from one that has two")
		}
		release()
		synctest.Wait()
		if got, want := r.String(), "[a2 dropped a0 b a1]"; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		p.Close()
	})
}

func TestRefusesWhatWouldWaitTooLong(t *testing.T) {
	p, release := stopped(t, Config{MaxQueue: 10_000, MaxDelay: 100 * firstGuess})
	defer p.Close()
	defer release()
	n := 0
	for i := range uint64(1000) {
		if p.Submit(Relay, i, func() {}, nil) {
			n++
		}
	}
	if n < 95 || n > 105 {
		t.Errorf("%d entries of %v were taken for a delay of %v", n, firstGuess, 100*firstGuess)
	}
	// Another class shares the workers, but not the queue.
	if !p.Submit(Authority, 1, func() {}, nil) {
		t.Error("an authority was refused because relays wait")
	}
}

func TestSmallQueueIsTakenWhateverTheDelay(t *testing.T) {
	p, release := stopped(t, Config{MaxQueue: 1000, MaxDelay: 1})
	defer p.Close()
	defer release()
	n := 0
	for i := range uint64(100) {
		if p.Submit(Relay, i, func() {}, nil) {
			n++
		}
	}
	if n != alwaysRoom {
		t.Errorf("%d entries were taken, want %d", n, alwaysRoom)
	}
}

func TestCostIsLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Workers: 1})
		for range 200 {
			p.Submit(Relay, 1, func() { time.Sleep(10 * time.Millisecond) }, nil)
			synctest.Wait()
			time.Sleep(10 * time.Millisecond)
		}
		p.mu.Lock()
		defer p.Close()
		defer p.mu.Unlock()
		if p.cost < 9*time.Millisecond || p.cost > 10*time.Millisecond {
			t.Errorf("mean cost %v, want nearly 10ms", p.cost)
		}
	})
}

func TestOldEntriesAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, release := stopped(t, Config{MaxAge: time.Second})
		var r record
		p.Submit(Stranger, 1, r.entry("old"), r.entry("old dropped"))
		p.Submit(Stranger, 2, r.entry("old"), r.entry("other dropped"))
		time.Sleep(1100 * time.Millisecond)
		p.Submit(Stranger, 1, r.entry("new"), r.entry("new dropped")) // drops what is at the front
		if got, want := r.String(), "[old dropped other dropped]"; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		p.Submit(Relay, 1, r.entry("relay"), r.entry("relay dropped"))
		time.Sleep(1100 * time.Millisecond)
		release() // the workers find the rest too old
		synctest.Wait()
		if got, want := r.String(), "[old dropped other dropped new dropped relay dropped]"; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		p.Close()
	})
}

func TestCloseDropsWhatWaits(t *testing.T) {
	p, release := stopped(t, Config{})
	var ran, dropped atomic.Int32
	for i := range uint64(10) {
		p.Submit(Class(i%3), i, func() { ran.Add(1) }, func() {
			if dropped.Add(1) == 10 {
				release()
			}
		})
	}
	p.Close()
	if ran.Load() != 0 || dropped.Load() != 10 {
		t.Errorf("%d ran, %d dropped; want 0 and 10", ran.Load(), dropped.Load())
	}
	if p.Submit(Authority, 1, func() { t.Error("ran after Close") }, func() { t.Error("dropped after a refusal") }) {
		t.Error("a closed pool took work")
	}
	p.Close() // once more does nothing
}

func TestUnknownClassIsStranger(t *testing.T) {
	p, release := stopped(t, Config{})
	defer p.Close()
	defer release()
	p.Submit(Authority+5, 1, func() {}, nil)
	if p.Waiting(Stranger) != 1 || p.Waiting(Authority+5) != 0 {
		t.Error("an unknown class is not counted as strangers")
	}
}

// Whatever is asked for by many at once, each entry that was taken runs or is
// dropped, once; none that was refused does.
func TestEveryEntryEndsOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := New(Config{
			Workers:  rapid.IntRange(1, 3).Draw(rt, "workers"),
			MaxQueue: rapid.IntRange(1, 30).Draw(rt, "queue"),
			MaxDelay: time.Duration(rapid.IntRange(1, 1000).Draw(rt, "delay")) * time.Microsecond,
			MaxAge:   time.Duration(rapid.IntRange(1, 1000).Draw(rt, "age")) * time.Microsecond,
		})
		n := rapid.IntRange(0, 200).Draw(rt, "entries")
		ends := make([]atomic.Int32, n)
		taken := make([]bool, n)
		sources := rapid.Uint64Range(1, 10).Draw(rt, "sources")
		for i := range n {
			end := func() { ends[i].Add(1) }
			taken[i] = p.Submit(Class(i%4), uint64(i)*7%sources, end, end)
		}
		p.Close()
		for i := range ends {
			want := int32(0)
			if taken[i] {
				want = 1
			}
			if got := ends[i].Load(); got != want {
				rt.Fatalf("entry %d of %d, taken %v, ended %d times", i, n, taken[i], got)
			}
		}
		for i := range p.queues {
			if q := &p.queues[i]; q.n != 0 || q.head != nil || len(q.sources) != 0 {
				rt.Fatalf("a closed pool's queue is not empty")
			}
		}
	})
}

func BenchmarkSubmit(b *testing.B) {
	p := New(Config{Workers: 1})
	defer p.Close()
	done := make(chan struct{}, 1)
	b.ReportAllocs()
	for b.Loop() {
		p.Submit(Relay, 1, func() { done <- struct{}{} }, nil)
		<-done
	}
}
