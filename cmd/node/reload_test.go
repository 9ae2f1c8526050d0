//go:build unix

package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tunic/cmd/node"
)

// fewFiles bounds the files that this process may open until the end of the test.
func fewFiles(t *testing.T, n uint64) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if was.Max < n {
		t.Skipf("this process may open %d files", was.Max)
	}
	less := was
	less.Cur = n
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &less); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &was) })
}

// A relay that becomes an exit while it runs shares its files as an exit does, and
// goes back to a relay's shares when it is none any more.
func TestFilesAreSharedAnewOnReload(t *testing.T) {
	fewFiles(t, 800)
	network, _ := lonely(t)
	state, file := t.TempDir(), filepath.Join(t.TempDir(), "relay.toml")
	write := func(policy string) {
		text := fmt.Sprintf("network = %q\nstate = %q\nlisten = ['127.0.0.1:0']\n%s", network, state, policy)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reload, lines := make(chan struct{}), make(chan string, 64)
	write("")
	var cfg node.RelayConfig
	if err := node.Load(file, &cfg); err != nil {
		t.Fatal(err)
	}
	startReady(t, func(ctx context.Context, o node.Options) error {
		o.Config, o.Reload, o.Log = file, reload, slog.New(slog.NewTextHandler(lineWriter(lines), nil))
		return node.RunRelay(ctx, cfg, o)
	})
	expect := func(links, streams int) {
		t.Helper()
		s, err := node.Ask(t.Context(), state)
		if err != nil {
			t.Fatal(err)
		}
		if s.Relay.MaxLinks != links || s.Relay.MaxStreams != streams {
			t.Errorf("%d links and %d streams, want %d and %d", s.Relay.MaxLinks, s.Relay.MaxStreams, links, streams)
		}
	}
	again := func(policy string) {
		t.Helper()
		write(policy)
		reload <- struct{}{}
		for late := time.After(patience); ; {
			select {
			case line := <-lines:
				if strings.Contains(line, "configuration reloaded") {
					return
				}
			case <-late:
				t.Fatal("it does not reload")
			}
		}
	}
	expect(600, 16_384)
	again("exit_policy = ['accept *:443']")
	expect(300, 300)
	again("")
	expect(600, 16_384)
}

// What no relay could work or be published with is refused at the start, and when the
// file is read again: the relay would not start the next time.
func TestWrongValuesAreRefused(t *testing.T) {
	network, _ := lonely(t)
	state, file := t.TempDir(), filepath.Join(t.TempDir(), "relay.toml")
	good := fmt.Sprintf("network = %q\nstate = %q\n", network, state)
	reload, lines := make(chan struct{}), make(chan string, 64)
	load := func(text string) (cfg node.RelayConfig) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := node.Load(file, &cfg); err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	running := load(good)
	running.Listen = anywhere // a flag says it
	startReady(t, func(ctx context.Context, o node.Options) error {
		o.Config, o.Reload, o.Log = file, reload, slog.New(slog.NewTextHandler(lineWriter(lines), nil))
		return node.RunRelay(ctx, running, o)
	})
	said := func(what string) {
		t.Helper()
		for late := time.After(patience); ; {
			select {
			case line := <-lines:
				if strings.Contains(line, what) {
					return
				}
			case <-late:
				t.Fatalf("nothing says %s", what)
			}
		}
	}
	for wrong, says := range map[string]string{
		"nickname = 'no name'":                       "letters and digits",
		"contact = 'two\u00a0'":                      "contact",
		"address = ['0.0.0.0:9001']":                 "address",
		"address = ['8.0.0.1:0']":                    "address",
		"address = ['[2a00::1]:9001']":               "one IPv4 address",
		"address = ['8.0.0.1:9001', '8.0.0.2:9001']": "at most one IPv6 address",
		"resolvers = ['127.0.0.1:0']":                "resolvers",
		"bandwidth_rate = -1":                        "below 0",
		"max_queue_memory = 1":                       "max_queue_memory",
		"log.level = 'loud'":                         "log level",
	} {
		cfg := load(good + wrong)
		cfg.State, cfg.Listen = t.TempDir(), anywhere
		err := node.RunRelay(t.Context(), cfg, node.Options{Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", wrong, err)
		}
		reload <- struct{}{}
		said("reload failed")
	}
	load("") // an editor may empty a file before it writes it
	reload <- struct{}{}
	said("no network file")

	load(good + "nickname = 'other'\nlog.level = 'debug'")
	reload <- struct{}{}
	said(`keys="log.level nickname"`)
	said("configuration reloaded")
	load(good)
	reload <- struct{}{}
	select {
	case line := <-lines:
		if !strings.Contains(line, "configuration reloaded") {
			t.Errorf("as at its start: %s", line)
		}
	case <-time.After(patience):
		t.Error("it does not reload")
	}
}
