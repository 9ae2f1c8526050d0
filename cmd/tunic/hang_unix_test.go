//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"tunic/cmd/localnet"
)

// TestTwoRelaysHang suspends a guard and an exit while requests go on: their
// connections stay open and silent. Every request that is made afterwards succeeds.
func TestTwoRelaysHang(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network of processes")
	}
	n := startNetwork(t, localnet.Plan{Dir: filepath.Join(t.TempDir(), "net"), Authorities: 3, Relays: 7, Exits: 3, Clients: 1})
	l := &load{site: startSmallSite(t), socks: n.Node("client1").Socks}
	l.run(t, func() {
		hops := hopsInUse(t, n)
		for _, relay := range []string{hops[0], hops[2]} {
			pid := n.Node(relay).PID
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Error(err)
			}
			t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) }) // before the network is stopped
			awaitStopped(t, pid)
		}
	})
}

// awaitStopped waits until all threads of a process that was told to have stopped:
// on a busy machine some go on for a while. Without /proc it waits for what that
// takes.
func awaitStopped(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(loadLimit); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if len(threads) == 0 {
			time.Sleep(200 * time.Millisecond)
			return
		}
		if !slices.ContainsFunc(threads, runs) {
			return
		}
	}
	t.Errorf("process %d goes on after SIGSTOP", pid)
}

// runs reports whether the thread of a file of /proc has not stopped.
func runs(path string) bool {
	stat, err := os.ReadFile(path)
	if err != nil {
		return false // it has ended
	}
	// The state follows the program's name, which ends in the last parenthesis.
	i := bytes.LastIndexByte(stat, ')')
	return i < 0 || !bytes.HasPrefix(stat[i:], []byte(") T"))
}
