package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/proxy"

	"tunic/cmd/localnet"
	"tunic/cmd/node"
)

// TestTwoRelaysDie kills pairs of relays with SIGKILL while requests go on:
// every request that is made afterwards succeeds.
func TestTwoRelaysDie(t *testing.T) {
	if testing.Short() {
		t.Skip("starts networks of processes")
	}
	site := startSmallSite(t)
	for name, pair := range map[string]func(hops, exits []string) []string{
		"guard and middle": func(hops, _ []string) []string { return hops[:2] },
		"guard and exit":   func(hops, _ []string) []string { return []string{hops[0], hops[2]} },
		"two exits of three, the one in use among them": func(hops, exits []string) []string {
			others := slices.DeleteFunc(slices.Clone(exits), func(x string) bool { return x == hops[2] || x == hops[0] })
			return []string{hops[2], others[0]}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNetwork(t, localnet.Plan{Dir: filepath.Join(t.TempDir(), "net"), Authorities: 3, Relays: 7, Exits: 3, Clients: 1})
			l := &load{site: site, socks: n.Node("client1").Socks}
			l.run(t, func() {
				for _, relay := range pair(hopsInUse(t, n), []string{"relay5", "relay6", "relay7"}) {
					if err := n.Kill(relay); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// hopsInUse names the relays of a circuit of the client's, as soon as one of them
// carries a stream: between two requests none may.
func hopsInUse(t *testing.T, n *localnet.Network) (names []string) {
	t.Helper()
	for deadline := time.Now().Add(loadLimit); time.Now().Before(deadline); {
		s, err := node.Ask(t.Context(), n.Node("client1").State())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range s.Client.Circuits {
			if len(c.Hops) == 3 && c.Streams > 0 {
				for _, h := range c.Hops {
					names = append(names, h.Nickname)
				}
				return names
			}
		}
	}
	t.Fatalf("no circuit carries a stream within %v", loadLimit)
	return nil
}

// startSmallSite starts a web site on loopback, and returns its address.
func startSmallSite(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(make([]byte, 20_000))
	})}
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(ln) })
	t.Cleanup(func() { srv.Close(); wg.Wait() })
	return ln.Addr().String()
}

// A load is users who make requests one after another.
type load struct {
	site, socks string
	struck      atomic.Bool
	until       time.Time // set before struck is
	before      atomic.Int64
	after       atomic.Int64
}

const ( // of a load
	loadUsers  = 6
	loadBefore = 30 // requests before the strike
	loadAfter  = 90 // and after it, at least,
	loadTime   = 700 * time.Millisecond
	loadLimit  = 30 * time.Second
)

// run makes requests, calls strike in their midst, and goes on. Requests that began
// before it may fail, or hang until the end.
func (l *load) run(t *testing.T, strike func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), loadLimit)
	defer cancel()
	early, giveUp := context.WithCancel(ctx)
	defer giveUp()
	var users sync.WaitGroup
	enough := make(chan struct{})
	for u := range loadUsers {
		users.Go(func() {
			defer giveUp()
			for i := 0; !l.over() && ctx.Err() == nil; i++ {
				late, within := l.struck.Load(), early
				if late {
					within = ctx
				}
				err := l.request(within, fmt.Sprintf("user%d-%d", u, i/10)) // each goes on to a new circuit after ten
				switch {
				case err == nil && late:
					l.after.Add(1)
				case err == nil:
					if l.before.Add(1) == loadBefore {
						close(enough)
					}
				case late && ctx.Err() == nil:
					t.Errorf("a request made afterwards failed: %v", err)
				}
			}
		})
	}
	select {
	case <-enough:
		strike()
		l.until = time.Now().Add(loadTime)
		l.struck.Store(true)
	case <-ctx.Done():
		t.Error("too few requests succeed before anything has happened")
	}
	users.Wait()
	if n := l.after.Load(); n < loadAfter {
		t.Errorf("%d requests succeeded afterwards within %v, want %d", n, loadLimit, loadAfter)
	}
}

// over reports whether the load has gone on for long enough.
func (l *load) over() bool {
	return l.struck.Load() && time.Now().After(l.until) && l.after.Load() >= loadAfter
}

// request makes one request as a user of the SOCKS proxy.
func (l *load) request(ctx context.Context, user string) error {
	d, err := proxy.SOCKS5("tcp", l.socks, &proxy.Auth{User: user, Password: "x"}, proxy.Direct)
	if err != nil {
		return err
	}
	web := &http.Transport{DialContext: d.(proxy.ContextDialer).DialContext, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.site+"/", nil)
	if err != nil {
		return err
	}
	resp, err := web.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != 20_000 {
		return fmt.Errorf("%d bytes: %w", n, err)
	}
	return nil
}
