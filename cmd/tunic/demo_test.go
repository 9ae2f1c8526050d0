package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// takenPort is a port of loopback that somebody listens on.
func takenPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// freePort is one that nobody listened on just now.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

func TestDemoCheck(t *testing.T) {
	taken := takenPort(t)
	d := startProgram(t, "demo", "--check", "--port", taken)
	out, status := d.end(t)
	if status != 0 {
		t.Fatalf("exit status %d:\n%s%s", status, out, d.stderr.String())
	}
	for _, want := range []string{
		`port ` + taken + ` is taken`,
		`(?m)^  100 %  client1: ready$`,
		`ready after \S+, SOCKS proxy on 127\.0\.0\.1:\d+\n`,
		`\d+ bytes in \S+ through three relays`,
		`you ══▶ relay\d ══▶ relay\d ══▶ relay[567] ──▶ site`,
		`guard .* saw the client, at 127\.0\.0\.1:.* not the destination[;\n]`,
		`middle .* neither the client nor the destination[;\n]`,
		`exit .* the destination, 127\.0\.0\.1:\d+; not the client[;\n]`,
		`killed relay\d, the middle relay\n  \d+ bytes again, \S+ after the kill, by relay`,
		`one stream: 64 MiB in \S+, \d+ MiB/s`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the demo does not print %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\r") || strings.Contains(out, "\x1b") {
		t.Error("what goes to a file holds control characters of a terminal")
	}
	d.leavesNothing(t)
}

// Without a site of its own the demo fetches what it is told to, and says nothing of
// what it cannot measure.
func TestDemoCheckWithoutSite(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "somewhere else") })}
	var serving sync.WaitGroup
	serving.Go(func() { srv.Serve(ln) })
	t.Cleanup(func() { srv.Close(); serving.Wait() })
	url := "http://" + ln.Addr().String() + "/"
	d := startProgram(t, "demo", "--check", "--no-site", "--port", freePort(t), "--url", url)
	out, status := d.end(t)
	if status != 0 {
		t.Fatalf("exit status %d:\n%s%s", status, out, d.stderr.String())
	}
	for _, want := range []string{"GET " + url + "\n  14 bytes in ", ", the middle relay\n  14 bytes again, "} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not print %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "one stream") {
		t.Errorf("a stream was measured without a site for it:\n%s", out)
	}
	d.leavesNothing(t)
}

// A step that fails is named, with its reason, and the logs stay.
func TestDemoCheckFails(t *testing.T) {
	d := startProgram(t, "demo", "--check", "--no-site", "--port", freePort(t), "--url", "http://127.0.0.1:"+freePort(t)+"/")
	out, status := d.end(t)
	if status != 1 || !strings.Contains(d.stderr.String(), "fetch a page through three relays: the network could not reach") ||
		!strings.Contains(d.stderr.String(), "connection refused") {
		t.Errorf("exit status %d, reason %q", status, d.stderr.String())
	}
	_, logs, ok := strings.Cut(out, "logs are in ")
	if !ok {
		t.Fatalf("the demo does not say where the logs are: %s", out)
	}
	if _, err := os.Stat(filepath.Join(strings.TrimSpace(logs), "relay1", "log")); err != nil {
		t.Error(err)
	}
	d.leavesNoProcess(t)
}

// Whenever it is told to stop, the demo leaves nothing behind.
func TestDemoStops(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such signals")
	}
	for _, stage := range []struct {
		line   string
		signal os.Signal
		args   []string
		status int
	}{
		{"tunic demo:", os.Interrupt, nil, 0},
		{"auth", os.Interrupt, nil, 0},
		{"ready after", os.Interrupt, []string{"--check"}, 1},
		{"killed", syscall.SIGTERM, nil, 0},
		{"Your turn", syscall.SIGHUP, nil, 0},
	} {
		t.Run(fmt.Sprint(stage.signal, " at ", stage.line), func(t *testing.T) {
			t.Parallel()
			d := startProgram(t, append([]string{"demo", "--port", freePort(t)}, stage.args...)...)
			d.until(t, stage.line)
			if err := d.Process.Signal(stage.signal); err != nil {
				t.Fatal(err)
			}
			if out, status := d.end(t); status != stage.status {
				t.Errorf("exit status %d, want %d:\n%s%s", status, stage.status, out, d.stderr.String())
			}
			d.leavesNothing(t)
		})
	}
}

// Where the demo is killed, its nodes notice.
func TestDemoKilled(t *testing.T) {
	for _, line := range []string{"relay", "ready after"} {
		t.Run("at "+line, func(t *testing.T) {
			t.Parallel()
			d := startProgram(t, "demo", "--port", freePort(t))
			d.until(t, line)
			if err := d.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_, _ = d.end(t)
			d.leavesNoProcess(t)
		})
	}
}
