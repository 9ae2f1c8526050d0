package client

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// With any two of seven relays killed during load, every new request succeeds,
// and soon.
func TestAnyTwoRelaysMayDie(t *testing.T) {
	for i := range 7 {
		for j := range i {
			a, b := string(rune('a'+j)), string(rune('a'+i))
			t.Run(a+b, func(t *testing.T) {
				t.Parallel()
				in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
					time.AfterFunc(3*time.Second, func() { w.kill(a); w.kill(b) })
					load(t, c, 10*time.Second, func(time.Duration) time.Duration { return 3 * time.Second })
				})
			})
		}
	}
}

// load has ten users each ask for something again and again, and holds every
// request against the limit for the time at which it begins.
func load(t *testing.T, c *Client, d time.Duration, limit func(at time.Duration) time.Duration) {
	t.Helper()
	var wg sync.WaitGroup
	start := time.Now()
	end := start.Add(d)
	for user := range 10 {
		wg.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				began := time.Now()
				conn, err := c.Dial(ctx, Request{Host: "example.com", Port: 80, Isolation: fmt.Sprint(user, i/10)})
				cancel()
				if err != nil {
					t.Errorf("request failed: %v", err)
					return
				}
				if at := began.Sub(start); time.Since(began) > limit(at) {
					t.Errorf("a request made after %v took %v", at, time.Since(began))
				}
				time.Sleep(100 * time.Millisecond)
				conn.Close()
			}
		})
	}
	wg.Wait()
}

// Two relays that hang without a word cost some seconds, but no request; ten
// seconds later the client has learnt to avoid them.
func TestAnyTwoRelaysMayHang(t *testing.T) {
	for i := range 7 {
		for j := range i {
			a, b := string(rune('a'+j)), string(rune('a'+i))
			t.Run(a+b, func(t *testing.T) {
				t.Parallel()
				in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
					const hang = 3 * time.Second
					time.AfterFunc(hang, func() { w.freeze(a); w.freeze(b) })
					load(t, c, 16*time.Second, func(at time.Duration) time.Duration {
						if at > hang+10*time.Second {
							return time.Second
						}
						return 6 * time.Second
					})
				})
			})
		}
	}
}

// Circuits are given up soon where they are built quickly as a rule. A network that
// turns slow is not given up.
func TestNetworkTurnsSlow(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		time.Sleep(time.Minute)
		w.keepBusy(minHop + 2*time.Second)
		for _, user := range []string{"a", "b", "c", "d", "e", "f"} { // more than there are unused circuits
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), maxDial)
			conn, err := c.Dial(ctx, Request{Host: "example.com", Port: 80, Isolation: user})
			cancel()
			if err != nil {
				t.Fatalf("user %s, after %v: %v", user, time.Since(began), err)
			}
			defer conn.Close()
		}
	})
}

// guard returns the nickname of the i-th guard.
func guard(c *Client, i int) string { return c.Status().Guards[i].Nickname }

func TestDeadGuardIsLeftAtOnceAndUsedAgain(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		first := guard(c, 0)
		conn := get(t, c, "")
		if conn.Hops()[0].Nickname != first {
			t.Fatalf("guard %s, want %s", conn.Hops()[0].Nickname, first)
		}
		conn.Close()
		w.kill(first)
		began := time.Now()
		conn = get(t, c, "")
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("the next guard took %v", took)
		}
		if got := conn.Hops()[0].Nickname; got == first {
			t.Error("the dead guard is used")
		}
		conn.Close()
		time.Sleep(10 * time.Minute)
		w.revive(first)
		time.Sleep(30 * time.Second)
		for _, s := range c.Status().Circuits {
			if s.State == "clean" && s.Hops[0].Nickname != first {
				t.Errorf("an unused circuit goes through %s", s.Hops[0].Nickname)
			}
		}
		conn = get(t, c, "someone else")
		if got := conn.Hops()[0].Nickname; got != first {
			t.Errorf("30 s after its return the guard is %s, want %s", got, first)
		}
		conn.Close()
	})
}

// Circuits that were built before a silence are in doubt: the second try takes
// one whose relays have answered since.
func TestSilenceCostsOneTry(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		time.Sleep(time.Minute) // all unused circuits are old
		w.freeze(guard(c, 0))
		w.slow(3 * time.Second) // so that none is new when the first try ends
		began := time.Now()
		conn := get(t, c, "")
		defer conn.Close()
		if took := time.Since(began); took < firstTry || took > 2*firstTry+5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestHangingGuardIsHedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		dir := t.TempDir()
		c := launchIn(t, w, dir, &memory{b: w.bundle}, nil)
		ready(t, c)
		first, second := guard(c, 0), guard(c, 1)
		c.Close()
		w.freeze(first)
		began := time.Now()
		c = launchIn(t, w, dir, &memory{b: w.bundle}, nil)
		defer c.Close()
		ready(t, c)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
		conn := get(t, c, "")
		defer conn.Close()
		if got := conn.Hops()[0].Nickname; got != second {
			t.Errorf("guard %s, want the second, %s", got, second)
		}
		time.Sleep(hopLimit)
		if s := c.Status().Guards[0]; s.Nickname != first && s.State == "unreachable" {
			t.Errorf("first guard: %v", s)
		}
	})
}

// With every primary guard down the next is tried at once; when all are, the
// client goes on trying at a bounded rate and recovers soon. A guard that has no path,
// because it is the only exit, is not tried and changes nothing.
func TestEverythingDownAndBack(t *testing.T) {
	for _, test := range []struct {
		name  string
		exits int
		share uint64 // of guards, for an exit
	}{
		{"three exits", 3, 1000},
		{"the only exit is the first guard", 1, 1 << 40},
		{"the only exit is the last guard", 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 7, test.exits)
				for i := range w.relays() {
					if r := &w.relays()[i]; r.Flags.Has(directory.Exit) {
						r.Shares[directory.AsGuard] = test.share
					}
				}
				c := launch(t, w)
				defer c.Close()
				ready(t, c)
				everythingDownAndBack(t, w, c)
			})
		})
	}
}

func everythingDownAndBack(t *testing.T, w *world, c *Client) {
	var names []string
	for _, r := range w.relays() {
		names = append(names, r.Nickname)
		w.kill(r.Nickname)
	}
	time.Sleep(time.Minute)
	before, _ := w.counts()
	time.Sleep(10 * time.Minute)
	after, _ := w.counts()
	if n := after - before; n < 10 || n > 1500 {
		t.Errorf("%d attempts in ten minutes without a network", n)
	}
	if p := c.Status().Problem; p == "" {
		t.Error("the status names no problem")
	}
	for _, name := range names {
		w.revive(name)
	}
	began := time.Now()
	get(t, c, "").Close()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("recovered after %v", took)
	}
	if p := c.Status().Problem; p != "" {
		t.Errorf("the status still says %q", p)
	}
}

func TestNextGuardWhenAllPrimariesAreDown(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		for i := range 3 {
			w.mu.Lock()
			w.dead[c.Status().Guards[i].ID] = true // links to them refuse, circuits stand
			w.mu.Unlock()
		}
		w.mu.Lock()
		circuits := slices.Clone(w.circuits)
		w.mu.Unlock()
		for _, f := range circuits {
			f.destroy(errRefused)
		}
		began := time.Now()
		conn := get(t, c, "")
		defer conn.Close()
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// A circuit through a lesser guard waits for its turn, and goes when a better
// guard is there.
func TestLesserGuardsCircuitsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, dir := newWorld(t, 7, 3), t.TempDir()
		c := launchIn(t, w, dir, &memory{b: w.bundle}, nil)
		ready(t, c)
		var primary []string
		for i := range 3 {
			primary = append(primary, guard(c, i))
		}
		c.Close()
		for _, name := range primary {
			w.freeze(name)
		}
		c = launchIn(t, w, dir, &memory{b: w.bundle}, nil)
		defer c.Close()
		waits := func() (n int) {
			for _, s := range c.Status().Circuits {
				if s.State == "waiting" {
					n++
				}
			}
			return n
		}
		time.Sleep(8 * time.Second) // the primaries hang, and have not failed yet
		if waits() == 0 {
			t.Error("no circuit waits")
		}
		if clean, _ := c.count(); clean > 0 {
			t.Errorf("%d circuits through lesser guards may be used", clean)
		}
		w.revive(primary[0])
		time.Sleep(time.Minute)
		if n := waits(); n != 0 {
			t.Errorf("%d circuits wait though a better guard is there", n)
		}
		conn := get(t, c, "")
		defer conn.Close()
		if got := conn.Hops()[0].Nickname; got != primary[0] {
			t.Errorf("guard %s, want %s", got, primary[0])
		}
	})
}

// Relays that leave the consensus are guards no longer; their circuits stand.
func TestGuardLeavesTheConsensus(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		first := c.Status().Guards[0].ID
		old := get(t, c, "old")
		defer old.Close()
		w.publish(slices.DeleteFunc(slices.Clone(w.relays()), func(r directory.Relay) bool { return r.ID == first }))
		time.Sleep(3 * w.file.Timing.Period) // a client fetches before the old one ends
		conn := get(t, c, "new")
		defer conn.Close()
		if conn.Hops()[0].ID == first {
			t.Error("a guard that is not listed is used")
		}
		echo(t, old)
	})
}

func TestGuardUsedForTrafficIsConfirmed(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		if c.Status().Guards[0].Confirmed {
			t.Error("confirmed before it carried anything")
		}
		get(t, c, "").Close()
		s := c.Status().Guards[0]
		if !s.Confirmed || !s.Primary || s.State != "reachable" {
			t.Errorf("guard %+v", s)
		}
	})
}

// All circuits of a day go through few guards.
func TestADayStaysWithItsGuard(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		guards := map[keys.RelayID]bool{}
		for i := range 144 {
			if i%6 == 0 {
				w.publish(w.relays())
			}
			conn := get(t, c, fmt.Sprint(i))
			guards[conn.Hops()[0].ID] = true
			conn.Close()
			time.Sleep(10 * time.Minute)
		}
		if len(guards) != 1 {
			t.Errorf("%d guards in a quiet day", len(guards))
		}
	})
}

// The consensus lists dead exits for a while. Where only such ones go with the
// first guard, because it is itself the one exit that lives, the next guard
// steps in.
func TestGuardThatIsTheOnlyLivingExit(t *testing.T) {
	for _, hang := range []bool{false, true} {
		t.Run(fmt.Sprint("hang ", hang), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 5, 2) // exits are d and e
				for i := range w.relays() {
					if r := &w.relays()[i]; r.Nickname == "e" {
						r.Shares[directory.AsGuard] = 1 << 40 // so that it is the first guard
					}
				}
				c := launch(t, w)
				defer c.Close()
				ready(t, c)
				if guard(c, 0) != "e" {
					t.Fatal("another guard was drawn, by a chance of one in a million")
				}
				if hang {
					w.freeze("d")
				} else {
					w.kill("d")
				}
				for i := range 10 {
					conn := get(t, c, fmt.Sprint("after ", i))
					hops, _ := CircuitHops(conn)
					if len(hops) != 3 || hops[2].Nickname != "e" {
						t.Errorf("request %d goes by %v", i, hops)
					}
					conn.Close()
				}
			})
		})
	}
}

// A relay that dies is no trouble of the user's; a network that is away is.
func TestTroubleIsToldWhenNothingWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		var mu sync.Mutex
		var told []error
		c := launchIn(t, w, t.TempDir(), &memory{b: w.bundle}, func(e Event) {
			if e.Problem != nil {
				mu.Lock()
				told = append(told, e.Problem)
				mu.Unlock()
			}
		})
		defer c.Close()
		ready(t, c)
		w.kill("b")
		for i := range 30 {
			get(t, c, fmt.Sprint(i)).Close()
		}
		synctest.Wait()
		mu.Lock()
		if len(told) > 0 {
			t.Errorf("one dead relay of seven: %v", told)
		}
		mu.Unlock()
		for _, name := range strings.Split("abcdefg", "") {
			w.kill(name)
		}
		time.Sleep(5 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if _, problem := c.status.now(); len(told) == 0 || problem == "" {
			t.Errorf("a dead network: told %v, status %q", told, problem)
		}
	})
}
