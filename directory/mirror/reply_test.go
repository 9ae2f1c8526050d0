package mirror

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell/work"
	"tunic/directory"
)

func TestBucket(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	var b bucket
	if _, ok := b.take(start, 1<<40); !ok {
		t.Error("a bucket without a rate refuses")
	}
	b.setRate(100_000) // holds 500,000 bytes
	if _, ok := b.take(start, 800_000); !ok {
		t.Error("a full bucket refuses")
	}
	if wait, ok := b.take(start, 1); ok || wait != 3*time.Second {
		t.Errorf("300,000 bytes in debt: %v, %v", wait, ok)
	}
	if wait, ok := b.take(start.Add(2*time.Second), 1); ok || wait != time.Second {
		t.Errorf("2 s later: %v, %v", wait, ok)
	}
	if _, ok := b.take(start.Add(4*time.Second), 1); !ok {
		t.Error("4 s later it still refuses")
	}
	if wait, ok := b.take(start.Add(time.Hour), 500_001); !ok {
		t.Errorf("an hour later: %v", wait)
	}
	if _, ok := b.take(start.Add(time.Hour), 1); ok {
		t.Error("in an hour it filled beyond its size")
	}
	if wait, ok := b.take(start, 1); ok || wait > time.Second {
		t.Errorf("a clock that went back: %v, %v", wait, ok)
	}
	b.setRate(0)
	if _, ok := b.take(start, 1); !ok {
		t.Error("after its rate was taken away it refuses")
	}
}

func TestRateOfAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b, _ := bundles(t)
		h := handler(&fixed{bundle: b}, 0)
		s := &server{Listener: NewListener(), http: NewServer(h)}
		s.served.Go(func() { _ = s.http.Serve(s.Listener) })
		defer s.stop()
		get := func(c work.Class) error {
			_, err := s.client(Peer{Class: c}).Get(t.Context(), PathConsensus, directory.MaxBundle)
			return err
		}
		for range 100 {
			if err := get(work.Stranger); err != nil {
				t.Fatalf("without a rate: %v", err)
			}
		}
		h.SetRate(3000)
		drain := func(c work.Class) (wait time.Duration) {
			for range 1000 {
				if busy, ok := errors.AsType[*BusyError](get(c)); ok {
					return busy.RetryAfter
				}
			}
			t.Fatalf("class %v is never refused", c)
			return 0
		}
		wait := drain(work.Stranger)
		if err := get(work.Relay); err != nil {
			t.Errorf("a relay, when strangers have had their share: %v", err)
		}
		drain(work.Relay)
		for range 100 {
			if err := get(work.Authority); err != nil {
				t.Fatalf("an authority: %v", err)
			}
		}
		time.Sleep(wait)
		if err := get(work.Stranger); err != nil {
			t.Errorf("after the %v that it was told to wait: %v", wait, err)
		}
	})
}
