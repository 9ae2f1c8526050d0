package client

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tunic/cell/link"
	"tunic/client/path"
	"tunic/directory"
	"tunic/directory/keys"
)

var quiet = slog.New(slog.DiscardHandler)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open counts the circuits that take streams, unused ones apart.
func (c *Client) count() (clean, used int) {
	for _, s := range c.Status().Circuits {
		switch s.State {
		case "clean":
			clean++
		case "used":
			used++
		}
	}
	return clean, used
}

func TestSecondStartIsReadyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		began := time.Now()
		c := launch(t, w)
		defer c.Close()
		ready(t, c)
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("ready after %v", took)
		}
		synctest.Wait()
		if len(w.asked) != 0 {
			t.Errorf("asked %d sources though the cache had a fresh consensus", len(w.asked))
		}
	})
}

func TestCircuitsAreReadyBeforeTheyAreWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := launch(t, newWorld(t, 7, 3))
		defer c.Close()
		time.Sleep(5 * time.Second)
		if clean, used := c.count(); clean != minClean || used != 0 {
			t.Fatalf("%d unused circuits, %d used, want %d unused", clean, used, minClean)
		}
		for i := range 20 { // they are replaced as they are used
			conn := get(t, c, string(rune('A'+i)))
			defer conn.Close()
			time.Sleep(20 * time.Second)
			if clean, used := c.count(); clean != minClean || used != i+1 {
				t.Fatalf("after %d requests %d unused circuits, %d used", i+1, clean, used)
			}
		}
	})
}

func TestFirstStartTellsItsPhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		var mu sync.Mutex
		var phases []Phase
		c := launchIn(t, w, t.TempDir(), &memory{}, func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Problem != nil {
				t.Errorf("problem: %v", e.Problem)
			}
			phases = append(phases, e.Phase)
		})
		ready(t, c)
		c.Close()
		mu.Lock()
		defer mu.Unlock()
		want := []Phase{DialDirectory, FetchConsensus, HaveConsensus, DialGuard, BuildCircuit, Ready, Closed}
		if !slices.Equal(phases, want) {
			t.Errorf("phases %v, want %v", phases, want)
		}
		if c.cache.Current() != w.bundle {
			t.Error("the consensus was not kept")
		}
	})
}

func TestBadConsensusIsRefusedAndNamed(t *testing.T) {
	for _, test := range []struct {
		name string
		held bool
		bad  func(c *directory.Consensus)
		want error
	}{
		{"expired", false, func(c *directory.Consensus) { c.ValidUntil = time.Now().Add(-25 * time.Hour) }, directory.ErrExpired},
		{"future", false, func(c *directory.Consensus) { c.ValidAfter = time.Now().Add(3 * time.Hour) }, directory.ErrFuture},
		{"other network", false, func(c *directory.Consensus) { c.NetworkID[0] ^= 1 }, directory.ErrOtherNetwork},
		{"older", true, func(c *directory.Consensus) { c.ValidAfter = time.Now().Add(-time.Minute) }, directory.ErrOlder},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 7, 3)
				w.slow(0)
				held := &memory{}
				if test.held {
					old := *w.bundle.Consensus
					old.ValidUntil = time.Now().Add(-25 * time.Hour)
					held.b = &directory.Bundle{Consensus: &old}
				}
				test.bad(w.bundle.Consensus)
				var got error
				c := launchIn(t, w, t.TempDir(), held, func(e Event) {
					if e.Problem != nil && got == nil {
						got = e.Problem
					}
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err := c.WaitReady(ctx)
				c.Close()
				if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "fetch consensus") {
					t.Errorf("WaitReady: %v", err)
				}
				if !errors.Is(got, test.want) {
					t.Errorf("problem %v, want %v", got, test.want)
				}
			})
		})
	}
}

func TestWrongClockIsNamed(t *testing.T) {
	for ahead, want := range map[time.Duration]string{5 * time.Hour: "5h0m0s behind", -26 * time.Hour: "26h0m0s ahead", time.Minute: ""} {
		c := &Client{net: &world{ahead: ahead}}
		err := c.clock(directory.ErrFuture)
		if !errors.Is(err, directory.ErrFuture) || !strings.Contains(err.Error(), want) || (want == "") != (err == directory.ErrFuture) {
			t.Errorf("clocks %v ahead: %v", ahead, err)
		}
		if err := c.clock(errRefused); err != errRefused {
			t.Errorf("another error: %v", err)
		}
	}
}

func TestExpiredConsensusServesInItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		time.Sleep(20 * time.Hour) // 3 periods of validity and 17 of the grace
		w.sources = func(link.Target) error { return errRefused }
		c := launch(t, w)
		defer c.Close()
		ready(t, c)
		if s := c.Status(); !s.Consensus.Expired {
			t.Error("the status does not say that the consensus has expired")
		}
	})
}

func TestConsensusIsKeptFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		c := launch(t, w)
		defer c.Close()
		ready(t, c)
		primary := c.Status().Guards[:3]
		for range 5 {
			w.publish(w.relays())
			time.Sleep(w.file.Timing.Period)
		}
		time.Sleep(w.file.Timing.Period)
		if got := c.Status().Consensus.ValidAfter; !got.Equal(w.bundle.Consensus.ValidAfter) {
			t.Errorf("consensus of %v, the newest is of %v", got, w.bundle.Consensus.ValidAfter)
		}
		for _, id := range w.asked {
			if !slices.ContainsFunc(primary, func(g GuardStatus) bool { return g.ID == id }) {
				t.Fatalf("asked someone who is no primary guard")
			}
		}
	})
}

func TestGuardsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, dir := newWorld(t, 7, 3), t.TempDir()
		guards := func() (ids []keys.RelayID) {
			c := launchIn(t, w, dir, &memory{b: w.bundle}, nil)
			defer c.Close()
			ready(t, c)
			get(t, c, "").Close()
			for _, g := range c.Status().Guards {
				ids = append(ids, g.ID)
			}
			return ids
		}
		first := guards()
		for range 3 {
			if again := guards(); !slices.Equal(again, first) {
				t.Fatal("another order of guards after a restart")
			}
		}
	})
}

func TestDamagedGuardsFileStopsTheStart(t *testing.T) {
	w, dir := newWorld(t, 7, 3), t.TempDir()
	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := os.WriteFile(s.guardsFile("test"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = start(Config{Network: w.file, StateDir: dir, Log: quiet}, s, &memory{b: w.bundle}, w, nil)
	if !errors.Is(err, path.ErrState) || !strings.Contains(err.Error(), s.guardsFile("test")) {
		t.Errorf("start: %v", err)
	}
}

func TestStateDirectoryIsLockedAndPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("second client: %v, want ErrInUse", err)
	}
	g := path.NewGuards("test")
	if err := s.saveGuards("test", g.State()); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		for name, mode := range map[string]os.FileMode{dir: 0o700, s.guardsFile("test"): 0o600, filepath.Join(dir, lockFile): 0o600} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != mode {
				t.Errorf("%s: mode %v, error %v, want %v", name, info.Mode().Perm(), err, mode)
			}
		}
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	again, err := openStore(dir)
	if err != nil {
		t.Fatalf("after close: %v", err)
	}
	again.close()
}

// Close ends what is under way, and nothing is left: goleak and synctest see to
// that.
func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		c := launch(t, w)
		ready(t, c)
		conn := get(t, c, "a")
		w.freeze("a")
		results := make(chan error, 20)
		for i := range 20 {
			go func() {
				_, err := c.Dial(t.Context(), Request{Host: "example.com", Port: 25000, Isolation: string(rune('A' + i))})
				results <- err
			}()
		}
		w.says(func(string, uint16, string) verdict { return verdict{never: true} })
		go func() {
			_, err := c.Dial(t.Context(), Request{Host: "example.com", Port: 80})
			results <- err
		}()
		time.Sleep(time.Second)
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		for range 21 {
			if err := <-results; err == nil {
				t.Error("a request succeeded")
			}
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("a stream outlived the client")
		}
		conn.Close()
		if _, err := c.Dial(t.Context(), Request{Host: "example.com", Port: 80}); !errors.Is(err, ErrClosed) {
			t.Errorf("Dial after Close: %v", err)
		}
	})
}
