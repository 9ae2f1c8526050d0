package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tunic/cell/logtest"
	"tunic/cmd/node"
	"tunic/directory"
	"tunic/directory/keys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for.
const patience = 5 * time.Second

// lonely writes the network file of one authority that does not run, and
// returns its path and the authority's state directory.
func lonely(t *testing.T) (file, state string) {
	t.Helper()
	state = filepath.Join(t.TempDir(), "authority")
	set, err := keys.LoadOrCreateAuthority(node.KeyDir(state), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr).AddrPort()
	ln.Close() // nobody answers there
	n := &directory.Network{Name: "lonely", PrivateAddresses: true, Timing: directory.TestTiming(time.Now()),
		Authorities: []directory.Authority{node.AuthorityEntry(set, "alone", []netip.AddrPort{addr})}}
	b, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "network.toml")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, state
}

// anywhere is a port of loopback that the system chooses.
var anywhere = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}

// A running is a node in this process.
type running struct {
	stop  context.CancelFunc
	ended chan error
}

// start runs a node until the end of the test.
func start(t *testing.T, run func(context.Context) error) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{stop, make(chan error, 1)}
	go func() { r.ended <- run(ctx); close(r.ended) }() // ends with ctx
	t.Cleanup(func() { stop(); <-r.ended })
	return r
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(patience):
		t.Fatal("the node does not end")
		return nil
	}
}

// startRelay starts a relay with the state directory and waits until it listens.
func startRelay(t *testing.T, network, state string) *running {
	t.Helper()
	return startReady(t, func(ctx context.Context, o node.Options) error {
		return node.RunRelay(ctx, node.RelayConfig{Common: node.Common{Network: network, State: state}, Listen: anywhere}, o)
	})
}

func startReady(t *testing.T, run func(context.Context, node.Options) error) *running {
	t.Helper()
	ready := make(chan struct{})
	o := node.Options{Log: slog.New(slog.DiscardHandler), Events: func(e node.Event) {
		if e.Ready {
			close(ready)
		}
	}}
	r := start(t, func(ctx context.Context) error { return run(ctx, o) })
	select {
	case <-ready:
	case err := <-r.ended:
		t.Fatalf("the node ended: %v", err)
	case <-time.After(patience):
		t.Fatal("the node is not ready")
	}
	return r
}

func TestSecondProcessOnAStateDirectoryIsRefused(t *testing.T) {
	network, authority := lonely(t)
	silent := node.Options{Log: slog.New(slog.DiscardHandler)}
	roles := map[string]struct {
		state string
		run   func(context.Context, string, node.Options) error
		ready bool // it gets ready without anybody else
	}{
		"relay": {t.TempDir(), func(ctx context.Context, state string, o node.Options) error {
			return node.RunRelay(ctx, node.RelayConfig{Common: node.Common{Network: network, State: state}, Listen: anywhere}, o)
		}, true},
		"authority": {authority, func(ctx context.Context, state string, o node.Options) error {
			return node.RunAuthority(ctx, node.AuthorityConfig{Common: node.Common{Network: network, State: state}, Listen: anywhere}, o)
		}, true},
		"client": {t.TempDir(), func(ctx context.Context, state string, o node.Options) error {
			return node.RunClient(ctx, node.ClientConfig{Common: node.Common{Network: network, State: state}, Socks: node.Socks{Listen: anywhere}}, o)
		}, false},
	}
	for role, r := range roles {
		t.Run(role, func(t *testing.T) {
			run := func(ctx context.Context, o node.Options) error { return r.run(ctx, r.state, o) }
			var first *running
			if r.ready {
				first = startReady(t, run)
			} else {
				first = start(t, func(ctx context.Context) error { return run(ctx, silent) })
				awaitAnswer(t, r.state)
			}
			err := r.run(t.Context(), r.state, silent)
			if !errors.Is(err, node.ErrInUse) {
				t.Fatalf("the second one: %v", err)
			}
			for _, want := range []string{r.state, "running " + role, "process"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if s, err := node.Ask(t.Context(), r.state); err != nil || s.Role != role {
				t.Errorf("the first one answers %+v, %v", s, err)
			}
			first.stop()
			if err := first.wait(t); err != nil {
				t.Errorf("the first one ends with %v", err)
			}
			if _, err := node.Ask(t.Context(), r.state); !errors.Is(err, node.ErrNotRunning) {
				t.Errorf("after its end: %v", err)
			}
		})
	}
}

// awaitAnswer waits until the node answers on its control socket.
func awaitAnswer(t *testing.T, state string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if _, err := node.Ask(t.Context(), state); err == nil {
			return
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestStopByTheControlSocket(t *testing.T) {
	network, _ := lonely(t)
	state := t.TempDir()
	r := startRelay(t, network, state)
	if err := node.Stop(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(t); err != nil {
		t.Errorf("the relay ends with %v", err)
	}
	if _, err := os.Stat(filepath.Join(state, "control.sock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
	startRelay(t, network, state) // its keys and its lock are in order
}

// A client reads its configuration once, and says so to who asks it to read it again.
func TestClientDoesNotReload(t *testing.T) {
	network, _ := lonely(t)
	reload, lines := make(chan struct{}, 1), make(chan string, 64)
	reload <- struct{}{}
	start(t, func(ctx context.Context) error {
		return node.RunClient(ctx, node.ClientConfig{Common: node.Common{Network: network, State: t.TempDir()}, Socks: node.Socks{Listen: anywhere}},
			node.Options{Log: slog.New(slog.NewTextHandler(lineWriter(lines), nil)), Reload: reload})
	})
	for late := time.After(patience); ; {
		select {
		case line := <-lines:
			if strings.Contains(line, "reload failed") && strings.Contains(line, "restart this node") {
				return
			}
		case <-late:
			t.Fatal("it says nothing")
		}
	}
}

// A proxy that others can reach is warned about, one on loopback is not.
func TestClientWarnsOfAnOpenProxy(t *testing.T) {
	for listen, open := range map[string]bool{"0.0.0.0:0": true, "127.0.0.1:0": false} {
		t.Run(listen, func(t *testing.T) {
			network, _ := lonely(t)
			lines := make(chan string, 64)
			cfg := node.ClientConfig{Common: node.Common{Network: network, State: t.TempDir()},
				Socks: node.Socks{Listen: []netip.AddrPort{netip.MustParseAddrPort(listen)}}}
			start(t, func(ctx context.Context) error {
				return node.RunClient(ctx, cfg, node.Options{Log: slog.New(slog.NewTextHandler(lineWriter(lines), nil))})
			})
			warned := false
			for late := time.After(patience); ; {
				select {
				case line := <-lines:
					warned = warned || strings.Contains(line, "other machines may reach the SOCKS proxy")
					if !strings.Contains(line, "not ready yet") {
						continue
					}
				case <-late:
					t.Fatal("it says nothing of itself")
				}
				break
			}
			if warned != open {
				t.Errorf("warned: %v", warned)
			}
		})
	}
}

// A lineWriter passes on what is written while there is room.
type lineWriter chan<- string

func (w lineWriter) Write(p []byte) (int, error) {
	select {
	case w <- string(p):
	default:
	}
	return len(p), nil
}

// A node that died leaves its socket and its lock file; the next one takes over.
func TestStartAfterACrash(t *testing.T) {
	network, _ := lonely(t)
	state := t.TempDir()
	dead, err := net.Listen("unix", filepath.Join(state, "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	if err := os.WriteFile(filepath.Join(state, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	startRelay(t, network, state)
	if s, err := node.Ask(t.Context(), state); err != nil || s.Relay == nil {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestAuthorityParams has an authority be given numbers of the network.
func TestAuthorityParams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authority.toml")
	if err := os.WriteFile(path, []byte("[params]\ncc_alpha = 200\n\"cc.beta\" = 300\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var cfg node.AuthorityConfig
	if err := node.Load(path, &cfg); err != nil || cfg.Params["cc_alpha"] != 200 {
		t.Fatalf("loaded %v, %v", cfg.Params, err)
	}
	err := node.RunAuthority(t.Context(), cfg, node.Options{Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "cc.beta") {
		t.Errorf("with a name that no vote can hold: %v", err)
	}
}

// Numbers that nobody will follow as they are, are warned of and voted for.
func TestAuthorityDoubtsParams(t *testing.T) {
	network, authority := lonely(t)
	var log logtest.Journal
	startReady(t, func(ctx context.Context, o node.Options) error {
		o.Log = log.Logger()
		return node.RunAuthority(ctx, node.AuthorityConfig{Common: node.Common{Network: network, State: authority}, Listen: anywhere,
			Params: map[string]int64{"guard_lif_least": 400, "guard_life_least": 0, "cc_alpha": 200, "cc_cwnd_max": 1 << 30, "sybil_small": 100}}, o)
	})
	r, err := node.Quarantine(t.Context(), authority)
	if b, _ := json.Marshal(r); err != nil || strings.Contains(string(b), "null") {
		t.Errorf("an empty report is %s, %v", b, err)
	}
	text := log.String()
	for _, want := range []string{"not know\" name=guard_lif_least", "name=guard_life_least value=0 least=1 most=3650", "name=cc_cwnd_max"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "cc_alpha") || strings.Contains(text, "sybil_small") {
		t.Errorf("what is right is doubted:\n%s", text)
	}
}

// Only an authority answers its operators' questions.
func TestRelayIsNoAuthority(t *testing.T) {
	network, _ := lonely(t)
	state := t.TempDir()
	startRelay(t, network, state)
	if _, err := node.Relays(t.Context(), state); err == nil || !strings.Contains(err.Error(), "is it an authority?") {
		t.Errorf("a relay asked as an authority: %v", err)
	}
}

// All that a node writes is for its own user alone.
func TestFilesArePrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	network, authority := lonely(t)
	relay, client := filepath.Join(t.TempDir(), "relay"), filepath.Join(t.TempDir(), "client")
	startRelay(t, network, relay)
	startReady(t, func(ctx context.Context, o node.Options) error {
		return node.RunAuthority(ctx, node.AuthorityConfig{Common: node.Common{Network: network, State: authority}, Listen: anywhere}, o)
	})
	start(t, func(ctx context.Context) error {
		return node.RunClient(ctx, node.ClientConfig{Common: node.Common{Network: network, State: client}, Socks: node.Socks{Listen: anywhere}},
			node.Options{Log: slog.New(slog.DiscardHandler)})
	})
	awaitAnswer(t, client)
	for _, dir := range []string{relay, authority, client} {
		checkModes(t, dir)
	}
}

// checkModes fails for each file below dir that others could open.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if files++; info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || files < 4 {
		t.Errorf("%s: %d files, %v", dir, files, err)
	}
}

func TestWrongNetworkFilesAreRefused(t *testing.T) {
	network, _ := lonely(t)
	_, other := lonely(t)
	o := node.Options{Log: slog.New(slog.DiscardHandler)}
	err := node.RunAuthority(t.Context(), node.AuthorityConfig{Common: node.Common{Network: network, State: other}, Listen: anywhere}, o)
	if err == nil || !strings.Contains(err.Error(), "does not name this authority") {
		t.Errorf("another network's authority: %v", err)
	}
	broken := filepath.Join(t.TempDir(), "network.toml")
	b, err := os.ReadFile(network)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, append(b, "\nfrobnicate = 1\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	err = node.RunClient(t.Context(), node.ClientConfig{Common: node.Common{Network: broken, State: t.TempDir()}, Socks: node.Socks{Listen: anywhere}}, o)
	if err == nil || !strings.Contains(err.Error(), "frobnicate") || !strings.Contains(err.Error(), broken) {
		t.Errorf("a network file with an unknown key: %v", err)
	}
	err = node.RunAuthority(t.Context(), node.AuthorityConfig{Common: node.Common{Network: network, State: t.TempDir()}, Listen: anywhere}, o)
	if err == nil || !strings.Contains(err.Error(), "create-authority") {
		t.Errorf("an authority without keys: %v", err)
	}
}

// A damaged key is named with its directory; without it the relay makes another.
func TestDamagedKeyIsNamed(t *testing.T) {
	network, _ := lonely(t)
	state := t.TempDir()
	first := startRelay(t, network, state)
	first.stop()
	if err := first.wait(t); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(node.KeyDir(state), "circuit-*.key"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	if err := os.WriteFile(found[0], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err = node.RunRelay(t.Context(), node.RelayConfig{Common: node.Common{Network: network, State: state}, Listen: anywhere},
		node.Options{Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), node.KeyDir(state)) || !strings.Contains(err.Error(), filepath.Base(found[0])) {
		t.Errorf("a damaged key: %v", err)
	}
	if err := os.Remove(found[0]); err != nil {
		t.Fatal(err)
	}
	startRelay(t, network, state)
}

// A client whose network is down says what it waits for.
func TestClientSaysWhatItWaitsFor(t *testing.T) {
	network, _ := lonely(t)
	state := t.TempDir()
	start(t, func(ctx context.Context) error {
		return node.RunClient(ctx, node.ClientConfig{Common: node.Common{Network: network, State: state}, Socks: node.Socks{Listen: anywhere}},
			node.Options{Log: slog.New(slog.DiscardHandler)})
	})
	awaitAnswer(t, state)
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		s, err := node.Ask(t.Context(), state)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(s.Client.Problem, "no consensus from the 1 mirrors and authorities") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("its status is %+v", s.Client)
		}
	}
}

func TestStateDirectoryIsNotEverybodys(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode()&os.ModeSticky == 0 {
		t.Skip("this system has no such directories")
	}
	if f, err := node.Lock(dir); err == nil {
		f.Close()
		t.Error("a directory like /tmp was taken for state: its mode would change")
	}
	if f, err := node.Lock(filepath.Join(dir, "own")); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
}
