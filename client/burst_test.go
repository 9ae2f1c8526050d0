package client

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// clean returns how many unused circuits c has when nothing is under way.
func clean(c *Client) int {
	time.Sleep(5 * time.Second)
	n, _ := c.count()
	return n
}

// burst makes n requests at once, and returns how long the slowest took.
func burst(t *testing.T, c *Client, name string, n int) time.Duration {
	t.Helper()
	var wg sync.WaitGroup
	start := time.Now()
	for i := range n {
		wg.Go(func() {
			conn, err := c.Dial(t.Context(), Request{Host: "example.com", Port: 80, Isolation: fmt.Sprint(name, i)})
			if err != nil {
				t.Errorf("Dial: %v", err)
				return
			}
			conn.Close()
		})
	}
	wg.Wait()
	return time.Since(start)
}

// A burst of requests that all need a circuit of their own finds the stock of the
// burst before, and what is not asked for again is forgotten.
func TestStockFollowsBursts(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		if n := clean(c); n != minClean {
			t.Fatalf("%d unused circuits at first, want %d", n, minClean)
		}
		const answer = 300 * time.Millisecond // three hops
		w.slow(answer / 3)
		if took := burst(t, c, "a", 20); took <= answer {
			t.Error("no request had to wait for a circuit: the test shows nothing")
		}
		if n := clean(c); n < 19 || n > 20 {
			t.Fatalf("%d unused circuits after a burst of 20", n)
		}
		if took := burst(t, c, "b", 19); took != answer {
			t.Errorf("the slowest request of another burst took %v", took)
		}
		for range 50 { // one now and then is no burst
			time.Sleep(2 * time.Minute)
			burst(t, c, fmt.Sprint("c", time.Now()), 1)
		}
		if n := clean(c); n > minClean+1 {
			t.Errorf("%d unused circuits after two hours without a burst", n)
		}
	})
}

func TestStockIsBounded(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		burst(t, c, "a", 4*maxStock)
		if n := clean(c); n != maxStock {
			t.Errorf("%d unused circuits, want %d", n, maxStock)
		}
	})
}

// While requests come in, the stock is not filled up beside them, except when it runs
// out.
func TestStockIsFilledUpAfterTheBurst(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		burst(t, c, "a", 20)
		before := clean(c)
		w.slow(0)
		burst(t, c, "b", 10)
		time.Sleep(settleTime / 2)
		synctest.Wait()
		if n, _ := c.count(); n != before-10 {
			t.Errorf("%d unused circuits right after 10 of %d were taken", n, before)
		}
		time.Sleep(settleTime)
		synctest.Wait()
		if n, _ := c.count(); n < before-1 {
			t.Errorf("%d unused circuits a while after, want %d again", n, before)
		}
	})
}
