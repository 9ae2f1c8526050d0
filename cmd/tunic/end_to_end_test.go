package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tunic/client"
	"tunic/cmd/localnet"
	"tunic/cmd/node"
)

// TestEndToEnd runs other people's programs through a network of separate
// processes. The network is shared; killing relays comes last.
func TestEndToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network of processes")
	}
	ns := startResolvers(t, 7)
	net := startNetwork(t, localnet.Plan{Dir: filepath.Join(t.TempDir(), "net"), Authorities: 3, Relays: 7, Exits: 3, Clients: 1,
		Addresses: true, Resolvers: ns.plan()})
	site := startTestSite(t)
	e := &endToEnd{net: net, ns: ns, site: site, socks: net.Node("client1").Socks}
	t.Run("curl fetches 64 MiB", e.bigFile)
	t.Run("users never share a circuit", e.isolation)
	t.Run("names are resolved at the exit alone", e.names)
	t.Run("Chromium loads a page of 30 objects", e.chromium)
	t.Run("git clones a repository", e.git)
	t.Run("torsocks runs a program", e.torsocks)
	t.Run("two relays die under load", e.deaths)
}

type endToEnd struct {
	net   *localnet.Network
	ns    *resolvers
	site  *testSite
	socks string
}

// startNetwork starts a network that stops with the test.
func startNetwork(t *testing.T, plan localnet.Plan) *localnet.Network {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, err := localnet.Start(ctx, plan, localnet.Options{Executable: program(t), Tied: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return n
}

// A testSite is a web site on loopback.
type testSite struct {
	url     string
	file    []byte // 64 MiB that do not compress
	outside string // the site by this machine's own address, "" if it has none
	objects atomic.Int64
	hold    chan struct{} // /hold answers when it is closed
	held    sync.WaitGroup
}

func startTestSite(t *testing.T) *testSite {
	t.Helper()
	s := &testSite{file: make([]byte, 64<<20), hold: make(chan struct{})}
	r := rand.NewChaCha8([32]byte{1})
	r.Read(s.file)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("bytes"))
		if err != nil || n < 0 || n > len(s.file) {
			http.Error(w, "bytes", http.StatusBadRequest)
			return
		}
		w.Write(s.file[:n])
	})
	mux.HandleFunc("GET /small", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "small") })
	mux.HandleFunc("GET /hold", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		s.held.Done()
		select {
		case <-s.hold:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) {
		var b strings.Builder
		b.WriteString("<!doctype html><title>page</title><p id=n>0</p><script>let n=0;function one(){document.getElementById('n').textContent='loaded '+(++n)}</script>")
		for i := range 30 {
			fmt.Fprintf(&b, "<img src='/object/%d' onload='one()'>", i)
		}
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, b.String())
	})
	mux.HandleFunc("GET /object/{i}", func(w http.ResponseWriter, _ *http.Request) {
		s.objects.Add(1)
		w.Header().Set("Content-Type", "image/svg+xml")
		io.WriteString(w, `<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>`)
	})
	mux.Handle("/git/", http.StripPrefix("/git/", http.FileServer(http.Dir(bareRepository(t)))))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: mux}
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(ln) })
	if a := ownAddress(); a != "" {
		own, err := net.Listen("tcp", net.JoinHostPort(a, "0"))
		if err != nil {
			t.Fatal(err)
		}
		s.outside = "http://" + own.Addr().String()
		wg.Go(func() { srv.Serve(own) })
	}
	t.Cleanup(func() { srv.Close(); wg.Wait() })
	s.url = "http://" + ln.Addr().String()
	return s
}

// ownAddress returns an IPv4 address of this machine that is not loopback, or "".
func ownAddress() string {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	return ""
}

// curl runs curl through the proxy as user and returns what it printed.
func (e *endToEnd) curl(ctx context.Context, t *testing.T, user string, args ...string) ([]byte, error) {
	t.Helper()
	args = append([]string{"--silent", "--show-error", "--fail", "--max-time", "30", "--proxy", "socks5h://" + user + ":pw@" + e.socks}, args...)
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, need(t, "curl"), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("curl: %w: %s", err, stderr.String())
	}
	return out, err
}

func (e *endToEnd) bigFile(t *testing.T) {
	part := len(e.site.file) / 16
	for _, fetch := range []struct {
		size int
		args []string
	}{
		{len(e.site.file), []string{"--proxy", "socks5h://" + e.socks}},
		{part, []string{"--socks5-hostname", e.socks}},
		{part, []string{"--proxy", "socks5h://user:password@" + e.socks}},
	} {
		args := append(fetch.args, fmt.Sprintf("%s/file?bytes=%d", e.site.url, fetch.size))
		cmd := exec.CommandContext(t.Context(), need(t, "curl"), append([]string{"--silent", "--show-error", "--fail", "--max-time", "60"}, args...)...)
		h := sha256.New()
		cmd.Stdout = h
		if err := cmd.Run(); err != nil {
			t.Fatalf("curl %v: %v", args, err)
		}
		if got, want := h.Sum(nil), sha256.Sum256(e.site.file[:fetch.size]); !bytes.Equal(got, want[:]) {
			t.Errorf("curl %v: SHA-256 is %x, want %x", args, got, want)
		}
	}
}

// isolation holds 50 streams of 50 users open and looks at their circuits.
func (e *endToEnd) isolation(t *testing.T) {
	const users = 50
	e.site.held.Add(users)
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() {
			if _, err := e.curl(t.Context(), t, fmt.Sprintf("user%d", i), e.site.url+"/hold"); err != nil {
				t.Error(err)
			}
		})
	}
	e.site.held.Wait()
	s, err := node.Ask(t.Context(), e.net.Node("client1").State())
	if peers, destinations := shown(t, e.net); peers == 0 || destinations != users {
		t.Errorf("relays that were asked to show %d peers and %d destinations, want some and %d", peers, destinations, users)
	}
	close(e.site.hold)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	streams := 0
	for _, c := range s.Client.Circuits {
		streams += c.Streams
		if c.Streams > 1 {
			t.Errorf("circuit %d carries %d users' streams", c.ID, c.Streams)
		}
	}
	if streams != users {
		t.Errorf("%d streams are open, want %d", streams, users)
	}
}

// names fetches by a name that only the exits' resolvers know.
func (e *endToEnd) names(t *testing.T) {
	_, port, _ := strings.Cut(strings.TrimPrefix(e.site.url, "http://"), ":")
	stop := watchPeers(t, e.net.Node("client1").PID)
	out, err := e.curl(t.Context(), t, "names", "http://onlyhere.example:"+port+"/small")
	if err != nil || string(out) != "small" {
		t.Fatalf("%q, %v", out, err)
	}
	exits := map[string]bool{}
	s, err := node.Ask(t.Context(), e.net.Node("client1").State())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Client.Circuits {
		if len(c.Hops) > 0 && c.State != "building" {
			exits[c.Hops[len(c.Hops)-1].Nickname] = true
		}
	}
	asked := e.ns.askedFor("onlyhere.example.")
	if len(asked) != 1 || !exits[asked[0]] {
		t.Errorf("the name was looked up by %v, want one of the exits %v", asked, exits)
	}
	known := e.addresses(t)
	for _, peer := range stop() {
		if !known[peer] {
			t.Errorf("the client connects to %v, which is no relay and no authority", peer)
		}
	}
}

// addresses returns where the network's relays and authorities listen.
func (e *endToEnd) addresses(t *testing.T) map[netip.AddrPort]bool {
	t.Helper()
	all := map[netip.AddrPort]bool{}
	for _, a := range e.net.File.Authorities {
		for _, at := range a.Addrs {
			all[at] = true
		}
	}
	for _, nd := range e.net.Nodes {
		if nd.Role != localnet.Relay {
			continue
		}
		var c node.RelayConfig
		if err := node.Load(nd.Config(), &c); err != nil {
			t.Fatal(err)
		}
		for _, at := range c.Listen {
			all[at] = true
		}
	}
	return all
}

func (e *endToEnd) chromium(t *testing.T) {
	path := need(t, "chromium", "chromium-browser", "google-chrome")
	e.site.objects.Store(0)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
		"--proxy-server=socks5://"+e.socks, "--proxy-bypass-list=<-loopback>",
		"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
		"--virtual-time-budget=10000", "--dump-dom", e.site.url+"/page")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v; %d objects were fetched", err, e.site.objects.Load())
	}
	if !bytes.Contains(out, []byte("loaded 30")) {
		t.Errorf("the page shows %q; %d objects were fetched", out, e.site.objects.Load())
	}
}

// bareRepository makes a repository that can be served as files; empty without git.
func bareRepository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := exec.LookPath("git"); err != nil {
		return dir
	}
	work := filepath.Join(dir, "work")
	git := func(args ...string) {
		cmd := exec.Command("git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	git("init", "-q", work)
	for i := range 20 {
		if err := os.WriteFile(filepath.Join(work, fmt.Sprintf("file%d", i)), bytes.Repeat([]byte{byte('a' + i)}, 5000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git("-C", work, "add", ".")
	git("-C", work, "commit", "-q", "-m", "files")
	git("clone", "-q", "--bare", work, filepath.Join(dir, "repo.git"))
	git("-C", filepath.Join(dir, "repo.git"), "update-server-info")
	return dir
}

func (e *endToEnd) git(t *testing.T) {
	path := need(t, "git")
	to := filepath.Join(t.TempDir(), "clone")
	cmd := exec.CommandContext(t.Context(), path, "-c", "http.proxy=socks5h://"+e.socks, "clone", "-q", e.site.url+"/git/repo.git", to)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(to, "file7"))
	if err != nil || len(b) != 5000 || b[0] != 'h' {
		t.Errorf("file7 of the clone: %d bytes, %v", len(b), err)
	}
}

// torsocks looks names up by SOCKS and then connects to the address; it leaves
// loopback alone, so the site is asked for by this machine's own address.
func (e *endToEnd) torsocks(t *testing.T) {
	path := need(t, "torsocks")
	if e.site.outside == "" {
		t.Skip("this machine has no address but loopback, which torsocks leaves alone")
	}
	host, port, _ := net.SplitHostPort(e.socks)
	cmd := exec.CommandContext(t.Context(), path, "-a", host, "-P", port, need(t, "curl"), "--silent", "--show-error", "--fail", "--max-time", "30",
		e.site.outside+"/small")
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "small" {
		t.Fatalf("%v: %s", err, out)
	}
}

// deaths kills two relays under load: every request made afterwards succeeds.
func (e *endToEnd) deaths(t *testing.T) {
	var killed atomic.Bool
	var before, after, failed atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	enough := make(chan struct{})
	for w := range 4 {
		wg.Go(func() {
			for i := 0; after.Load() < 60 && ctx.Err() == nil; i++ {
				late := killed.Load()
				out, err := e.curl(ctx, t, fmt.Sprintf("load%d-%d", w, i/5), e.site.url+"/small")
				switch {
				case err == nil && string(out) == "small":
					if late {
						after.Add(1)
					} else if before.Add(1) == 20 {
						close(enough)
					}
				case late:
					failed.Add(1)
					t.Errorf("a request made after the kill failed: %v", err)
				}
			}
		})
	}
	select {
	case <-enough:
	case <-ctx.Done():
		t.Fatal("too few requests succeed before anything is killed")
	}
	for _, name := range e.victims(t) {
		if err := e.net.Kill(name); err != nil {
			t.Fatal(err)
		}
	}
	killed.Store(true)
	wg.Wait()
	if after.Load() < 60 {
		t.Errorf("only %d requests succeeded after the kill, %d failed", after.Load(), failed.Load())
	}
}

// victims names two relays that are in use: a guard, which hurts most, and an
// exit beside it.
func (e *endToEnd) victims(t *testing.T) []string {
	t.Helper()
	s, err := node.Ask(t.Context(), e.net.Node("client1").State())
	if err != nil {
		t.Fatal(err)
	}
	used := func(c client.CircuitStatus) bool { return len(c.Hops) == 3 }
	for _, c := range s.Client.Circuits {
		if used(c) {
			return []string{c.Hops[0].Nickname, c.Hops[2].Nickname}
		}
	}
	t.Fatal("the client has no circuit of three hops")
	return nil
}
