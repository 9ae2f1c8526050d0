package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// awaitFile waits until there is a file in the program's own directory of temporary
// files.
func (d *launched) awaitFile(t *testing.T, pattern string) {
	t.Helper()
	for end := time.Now().Add(runLimit); ; time.Sleep(10 * time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(d.dir, pattern)); len(found) > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("there is no %s", pattern)
		}
	}
}

// Whenever it is told to stop, the benchmark leaves nothing behind.
func TestBenchStops(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such signals")
	}
	for _, c := range []struct{ measurement, file string }{
		{"processes", "tunic-bench-*/net/auth1/state/lock"},        // starting
		{"processes", "tunic-bench-*/net/client1/state/consensus"}, // all but ready
		{"network", "tunic-bench-*/net/client1/state/consensus"},
	} {
		t.Run(c.measurement+" "+filepath.Base(c.file), func(t *testing.T) {
			d := startProgram(t, "bench", "--only", c.measurement, "--time", "10m")
			d.awaitFile(t, c.file)
			if err := d.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			out, status := d.end(t)
			if status != 1 || out != "" || strings.TrimSpace(d.stderr.String()) != "tunic: bench: interrupted" {
				t.Errorf("exit status %d, output %q, reason %q", status, out, d.stderr.String())
			}
			d.leavesNothing(t)
		})
	}
}

// Where the benchmark is killed, what it has started notices.
func TestBenchKilled(t *testing.T) {
	for _, measurement := range []string{"processes", "network"} {
		d := startProgram(t, "bench", "--only", measurement, "--time", "10m")
		d.awaitFile(t, "tunic-bench-*/net/client1/state/consensus")
		if err := d.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = d.end(t)
		d.leavesNoProcess(t)
	}
}
