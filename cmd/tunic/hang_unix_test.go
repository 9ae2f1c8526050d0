//go:build unix

package main

import (
	"path/filepath"
	"syscall"
	"testing"

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
		}
	})
}
