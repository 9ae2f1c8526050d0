//go:build unix

package node_test

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tunic/cmd/node"
)

// shortDir makes a directory whose path leaves room for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "tn-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestServiceManagerIsTold(t *testing.T) {
	network, _ := lonely(t)
	socket := filepath.Join(shortDir(t), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	next := func() string {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		b := make([]byte, 1024)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	r := startRelay(t, network, t.TempDir())
	if s := next(); !strings.Contains(s, "READY=1\n") && !strings.HasSuffix(s, "READY=1") {
		t.Errorf("at the start: %q", s)
	}
	r.stop()
	if s := next(); s != "STOPPING=1" {
		t.Errorf("at the end: %q", s)
	}
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// A state directory with a long path has its socket in the runtime directory.
func TestControlSocketUnderALongPath(t *testing.T) {
	network, _ := lonely(t)
	runtime := shortDir(t)
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	state := filepath.Join(t.TempDir(), strings.Repeat("long/", 30), "state")
	r := startRelay(t, network, state)
	if s, err := node.Ask(t.Context(), state); err != nil || s.Relay == nil {
		t.Errorf("%+v, %v", s, err)
	}
	sockets, err := filepath.Glob(filepath.Join(runtime, "tunic-*", "control.sock"))
	if err != nil || len(sockets) != 1 {
		t.Fatalf("sockets in the runtime directory: %v, %v", sockets, err)
	}
	for path, want := range map[string]os.FileMode{filepath.Dir(sockets[0]): 0o700, sockets[0]: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v (%v)", path, info.Mode().Perm(), want, err)
		}
	}
	r.stop()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(runtime, "*")); len(left) != 0 {
		t.Errorf("left in the runtime directory: %v", left)
	}
}

// In a directory that others may write to, what somebody put there before is
// not used.
func TestControlSocketIsNotPutBehindALink(t *testing.T) {
	network, _ := lonely(t)
	runtime := shortDir(t)
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	state := filepath.Join(t.TempDir(), strings.Repeat("long/", 30), "state")
	socket, err := node.SocketPath(state, runtime)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(shortDir(t), filepath.Dir(socket)); err != nil {
		t.Fatal(err)
	}
	err = node.RunRelay(t.Context(), node.RelayConfig{Common: node.Common{Network: network, State: state}, Listen: anywhere},
		node.Options{Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "not a directory of this user") {
		t.Errorf("the relay runs: %v", err)
	}
}
