package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/circuit"
	"tunic/client/path"
	"tunic/directory"
)

// echo sends a word through a stream and back.
func echo(t testing.TB, conn net.Conn) {
	t.Helper()
	const word = "hello"
	if _, err := io.WriteString(conn, word); err != nil {
		t.Fatalf("Write: %v", err)
	}
	got := make([]byte, len(word))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != word {
		t.Fatalf("Read: %q, %v", got, err)
	}
}

// in runs a test with a client that is ready, in virtual time.
func in(t *testing.T, relays, exits int, f func(t *testing.T, w *world, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, relays, exits)
		c := launch(t, w)
		defer c.Close()
		ready(t, c)
		f(t, w, c)
	})
}

func TestStreamCarriesBothWays(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		conn, err := c.DialContext(t.Context(), "tcp", "Example.com:80")
		if err != nil {
			t.Fatal(err)
		}
		echo(t, conn)
		hops, ok := CircuitHops(conn)
		if !ok || len(hops) != 3 || hops[0].Nickname == "" || len(hops[2].Addrs) != 1 {
			t.Errorf("CircuitHops = %v, %v", hops, ok)
		}
		if _, ok := CircuitHops(&net.TCPConn{}); ok {
			t.Error("CircuitHops knows a connection that is none of ours")
		}
		if s := c.Status(); s.Read != 5 || s.Written != 5 {
			t.Errorf("status: read %d, written %d", s.Read, s.Written)
		}
		if err := conn.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		conn.Close()
	})
}

// Streams of different isolation keys never share a circuit; those of one do.
func TestIsolation(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		var mu sync.Mutex
		keyOf := map[*entry]string{}
		circuitsOf := map[string]map[*entry]bool{}
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				key := fmt.Sprint("user", i%50)
				conn := get(t, c, key)
				defer conn.Close()
				mu.Lock()
				defer mu.Unlock()
				if other, ok := keyOf[conn.e]; ok && other != key {
					t.Errorf("%s and %s share a circuit", key, other)
				}
				keyOf[conn.e] = key
				if circuitsOf[key] == nil {
					circuitsOf[key] = map[*entry]bool{}
				}
				circuitsOf[key][conn.e] = true
			})
		}
		wg.Wait()
		for key, circuits := range circuitsOf {
			if len(circuits) != 1 {
				t.Errorf("%s has %d circuits", key, len(circuits))
			}
		}
		if len(circuitsOf) != 50 {
			t.Errorf("%d keys", len(circuitsOf))
		}
	})
}

// What an exit says decides whether another is asked, and what the application
// is told.
func TestEndReasons(t *testing.T) {
	for _, test := range []struct {
		reason cell.EndReason
		exits  int // asked, of three
		code   Code
	}{
		{cell.EndMisc, 3, General},
		{cell.EndResolve, 3, HostUnreachable},
		{cell.EndRefused, 1, Refused},
		{cell.EndPolicy, 3, NotAllowed},
		{cell.EndDone, 1, Refused},
		{cell.EndTimeout, 3, Timeout},
		{cell.EndNoRoute, 3, HostUnreachable},
		{cell.EndHibernating, 3, General},
		{cell.EndInternal, 1, General},
		{cell.EndResource, 3, General},
		{cell.EndReset, 1, Refused},
		{cell.EndNotDir, 1, General},
		{99, 1, General},
	} {
		t.Run(test.reason.String(), func(t *testing.T) {
			in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
				var asked []string
				w.says(func(host string, port uint16, exit string) verdict {
					asked = append(asked, exit)
					return verdict{end: test.reason}
				})
				_, err := c.Dial(t.Context(), Request{Host: "secret.example", Port: 80})
				var e *Error
				var end *circuit.EndError
				if !errors.As(err, &e) || e.Code != test.code || !errors.As(err, &end) || end.Reason != test.reason {
					t.Errorf("error %v, want %v: %v", err, test.code, test.reason)
				}
				if strings.Contains(err.Error(), "secret") {
					t.Errorf("the error shows the destination: %v", err)
				}
				slices.Sort(asked)
				most := test.exits
				if test.reason == cell.EndHibernating || test.reason == cell.EndResource {
					most = maxBusy // on other circuits
				}
				if n := len(slices.Compact(slices.Clone(asked))); n != test.exits || len(asked) > most {
					t.Errorf("asked %v, want %d different exits", asked, test.exits)
				}
			})
		})
	}
}

func TestAnotherExitHelps(t *testing.T) {
	for _, reason := range []cell.EndReason{cell.EndPolicy, cell.EndResolve, cell.EndTimeout, cell.EndHibernating, cell.EndResource} {
		t.Run(reason.String(), func(t *testing.T) {
			in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
				var first string
				w.says(func(host string, port uint16, exit string) verdict {
					if first == "" {
						first = exit
					}
					if exit == first {
						return verdict{end: reason}
					}
					return verdict{}
				})
				conn := get(t, c, "")
				if got := conn.Hops()[2].Nickname; got == first {
					t.Errorf("exit %s both refused and served", got)
				}
				conn.Close()
			})
		})
	}
}

// An exit that takes no streams is left out for everybody for a while.
func TestFullExitIsShunned(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		asked := 0
		w.says(func(host string, port uint16, exit string) verdict {
			if exit == "g" {
				asked++
				return verdict{end: cell.EndResource}
			}
			return verdict{}
		})
		for i := range 30 {
			get(t, c, fmt.Sprint(i)).Close()
			time.Sleep(time.Second)
		}
		if asked > 3 { // those that were built before it said so
			t.Errorf("asked %d times", asked)
		}
		time.Sleep(shunFor)
		asked = 0
		w.says(func(host string, port uint16, exit string) verdict {
			if exit == "g" {
				asked++
			}
			return verdict{}
		})
		for i := range 30 {
			get(t, c, fmt.Sprint("later", i)).Close()
		}
		if asked == 0 {
			t.Error("it is never used again")
		}
	})
}

// A stream whose circuit dies before the exit has answered goes on another
// before the application notices.
func TestLostCircuitIsReplacedBeforeConnected(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		var once sync.Once
		w.says(func(host string, port uint16, exit string) verdict {
			once.Do(func() { go w.kill(exit) })
			return verdict{after: time.Second}
		})
		began := time.Now()
		conn := get(t, c, "")
		defer conn.Close()
		echo(t, conn)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// Once it is open, a stream ends with an error as soon as the loss is known.
func TestLostCircuitEndsOpenStreams(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		conn := get(t, c, "")
		defer conn.Close()
		echo(t, conn)
		_, begins := w.counts()
		lost := conn.Hops()[1].Nickname
		go w.kill(lost)
		began := time.Now()
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("Read goes on")
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("noticed after %v", took)
		}
		synctest.Wait()
		if _, now := w.counts(); now != begins {
			t.Error("the stream was opened again")
		}
		for _, s := range c.Status().Circuits {
			if s.State != "building" && slices.ContainsFunc(s.Hops, func(h Hop) bool { return h.Nickname == lost }) {
				t.Errorf("a dead circuit is in the pool: %v", s)
			}
		}
		time.Sleep(time.Second)
		if clean, _ := c.count(); clean < minClean {
			t.Errorf("%d unused circuits a second after a loss", clean)
		}
	})
}

// An exit that does not answer costs ten seconds, then another is asked; its
// circuit stays for the streams that it has.
func TestSilentExitIsLeft(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		conn := get(t, c, "")
		defer conn.Close()
		silent := conn.Hops()[2].Nickname
		w.says(func(host string, port uint16, exit string) verdict { return verdict{never: exit == silent} })
		began := time.Now()
		next := get(t, c, "")
		defer next.Close()
		if took := time.Since(began); took < firstTry || took > firstTry+time.Second {
			t.Errorf("took %v", took)
		}
		if next.Hops()[2].Nickname == silent {
			t.Error("the silent exit was asked again")
		}
		echo(t, conn)
	})
}

func TestRequestEndsWithItsContext(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		w.says(func(string, uint16, string) verdict { return verdict{never: true} })
		for _, test := range []struct {
			limit, want time.Duration
		}{{3 * time.Second, 3 * time.Second}, {time.Hour, maxDial}} {
			ctx, cancel := context.WithTimeout(t.Context(), test.limit)
			began := time.Now()
			_, err := c.Dial(ctx, Request{Host: "example.com", Port: 80})
			cancel()
			var e *Error
			if !errors.As(err, &e) || e.Code != Timeout || time.Since(began) != test.want {
				t.Errorf("after %v: %v, want a timeout after %v", time.Since(began), err, test.want)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := c.Dial(ctx, Request{Host: "example.com", Port: 80}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if n := c.Status().Waiting; n != 0 {
			t.Errorf("%d requests wait", n)
		}
	})
}

// Who gives a context a cause of his own still learns whether it was time.
func TestCauseOfAContextIsTold(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		w.says(func(string, uint16, string) verdict { return verdict{never: true} })
		mine := errors.New("mine")
		late, cancel := context.WithTimeoutCause(t.Context(), time.Second, mine)
		defer cancel()
		_, err := c.Dial(late, Request{Host: "example.com", Port: 80})
		var e *Error
		if !errors.As(err, &e) || e.Code != Timeout || !errors.Is(err, mine) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("time: %v", err)
		}
		left, leave := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { leave(mine) })
		_, err = c.Dial(left, Request{Host: "example.com", Port: 80})
		if !errors.As(err, &e) || e.Code != General || !errors.Is(err, mine) || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

func TestPortThatNobodyServes(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		began := time.Now()
		_, err := c.Dial(t.Context(), Request{Host: "secret.example", Port: 25})
		var e *Error
		var none *path.NoPathError
		if !errors.As(err, &e) || e.Code != NotAllowed || !errors.As(err, &none) || none.Rule() != path.RulePort {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
		get(t, c, "").Close() // others are well
	})
}

// A network without paths says which rule is to blame, and a later consensus
// helps.
func TestNetworkWithoutExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		all := w.relays()
		w.file.Timing.Period = time.Minute
		few := slices.DeleteFunc(slices.Clone(all), func(r directory.Relay) bool { return r.Flags.Has(directory.Exit) })
		w.publish(few)
		c := launch(t, w)
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := c.WaitReady(ctx); err == nil || !strings.Contains(err.Error(), "no relay for the exit: 4 running, 0 with the flag") {
			t.Errorf("WaitReady: %v", err)
		}
		w.publish(all)
		time.Sleep(2 * w.file.Timing.Period)
		ready(t, c)
		get(t, c, "").Close()
	})
}

func TestPrivateAnswersAreRefused(t *testing.T) {
	for _, private := range []bool{false, true} {
		in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
			c.netfile.PrivateAddresses = private
			w.says(func(string, uint16, string) verdict { return verdict{addr: netip.MustParseAddr("10.0.0.1")} })
			conn, err := c.Dial(t.Context(), Request{Host: "rebind.example", Port: 80})
			if private != (err == nil) || err != nil && !errors.Is(err, ErrPrivate) {
				t.Errorf("private network %v: Dial: %v", private, err)
			}
			if err == nil {
				conn.Close()
			}
			_, err = c.Resolve(t.Context(), cell.ResolveRequest{Host: "rebind.example"}, "")
			if private != (err == nil) || err != nil && !errors.Is(err, ErrPrivate) {
				t.Errorf("private network %v: Resolve: %v", private, err)
			}
		})
	}
}

func TestResolveIsRepeated(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		want := netip.MustParseAddr("8.8.4.4")
		tries := 0
		w.says(func(host string, port uint16, exit string) verdict {
			if tries++; tries == 1 {
				go w.kill(exit)
				return verdict{after: time.Second}
			}
			return verdict{addr: want}
		})
		r, err := c.Resolve(t.Context(), cell.ResolveRequest{Host: "Example.com"}, "")
		if err != nil || len(r.Answers) != 1 || r.Answers[0].Addr != want {
			t.Errorf("Resolve: %v, %v", r, err)
		}
		if tries != 2 {
			t.Errorf("%d tries", tries)
		}
		if _, err := c.Resolve(t.Context(), cell.ResolveRequest{Host: "127.0.0.1", Reverse: true}, ""); !errors.Is(err, ErrPrivate) {
			t.Errorf("reverse of a private address: %v", err)
		}
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, e := range c.pool.entries {
			if e.uses != 0 {
				t.Errorf("a circuit counts %d uses", e.uses)
			}
		}
	})
}

// A question that no exit could be asked costs no circuit: others' streams are on them.
func TestNameOfANameIsRefused(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		conn := get(t, c, "")
		defer conn.Close()
		_, err := c.Resolve(t.Context(), cell.ResolveRequest{Host: "example.com", Reverse: true}, "")
		var e *Error
		if !errors.As(err, &e) || e.Code != NotAllowed || !errors.Is(err, ErrBadHost) {
			t.Errorf("Resolve: %v", err)
		}
		echo(t, conn)
	})
}

// When some exits have had no answer and no other can be reached, what they said is
// the answer, soon.
func TestWordsStandWhenNoOtherExitComes(t *testing.T) {
	for _, reason := range []cell.EndReason{cell.EndResolve, cell.EndPolicy} {
		in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
			w.kill("g")
			w.says(func(string, uint16, string) verdict { return verdict{end: reason} })
			began := time.Now()
			_, err := c.Dial(t.Context(), Request{Host: "example.com", Port: 80})
			var e *Error
			if !errors.As(err, &e) || e.Code != codeOf(reason) {
				t.Errorf("%v: Dial: %v", reason, err)
			}
			if took := time.Since(began); took > otherWord+time.Second {
				t.Errorf("%v: answered after %v", reason, took)
			}
		})
	}
}

func TestAnswersAreJudged(t *testing.T) {
	c := &Client{netfile: &directory.Network{}}
	ok := cell.Answer{Kind: cell.AnswerIPv4, Addr: netip.MustParseAddr("8.8.8.8")}
	inside := cell.Answer{Kind: cell.AnswerIPv4, Addr: netip.MustParseAddr("127.0.0.1")}
	for _, test := range []struct {
		in   []cell.Answer
		want int
		err  error
	}{
		{[]cell.Answer{ok, inside}, 1, nil},
		{[]cell.Answer{inside}, 0, ErrPrivate},
		{[]cell.Answer{{Kind: cell.AnswerNotFound}}, 0, errNotFound},
		{[]cell.Answer{{Kind: cell.AnswerName, Name: "a.example"}}, 1, nil},
	} {
		r, err := c.checkAnswers(cell.ResolvedReply{Answers: test.in})
		if len(r.Answers) != test.want || !errors.Is(err, test.err) {
			t.Errorf("%v: %v, %v", test.in, r, err)
		}
	}
	_, err := c.checkAnswers(cell.ResolvedReply{Answers: []cell.Answer{{Kind: cell.AnswerTryAgain}}})
	if _, again := errors.AsType[*circuit.EndError](err); !again {
		t.Errorf("try again: %v", err)
	}
}

func TestTooManyRequestsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		for _, r := range w.relays() {
			w.dead[r.ID] = true
		}
		c := launch(t, w)
		defer c.Close()
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan error, maxWaiters+1)
		for i := range maxWaiters + 1 {
			go func() {
				_, err := c.Dial(ctx, Request{Host: "example.com", Port: 80, Isolation: fmt.Sprint(i)})
				results <- err
			}()
		}
		if err := <-results; !errors.Is(err, ErrTooMany) {
			t.Errorf("one too many: %v", err)
		}
		cancel()
		for range maxWaiters {
			if err := <-results; err == nil || errors.Is(err, ErrTooMany) {
				t.Fatalf("a request that waited: %v", err)
			}
		}
	})
}
