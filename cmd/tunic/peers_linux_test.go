package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// watchPeers collects the TCP addresses that a process is connected to, out of
// connections that it opened, until the returned function is called.
func watchPeers(t *testing.T, pid int) (stop func() []netip.AddrPort) {
	t.Helper()
	seen := map[netip.AddrPort]bool{}
	quit, ready := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for first := true; ; first = false {
			for _, p := range peers(pid) {
				seen[p] = true
			}
			if first {
				close(ready)
			}
			select {
			case <-quit:
				return
			case <-tick.C:
			}
		}
	})
	<-ready
	return func() []netip.AddrPort {
		close(quit)
		wg.Wait()
		if len(seen) == 0 {
			t.Error("the process was never seen connected to anything")
		}
		var all []netip.AddrPort
		for p := range seen {
			all = append(all, p)
		}
		return all
	}
}

// peers returns the remote addresses of the process's TCP connections, but for
// those to a port that it listens on.
func peers(pid int) []netip.AddrPort {
	inodes := map[string]bool{}
	fds, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "fd", "*"))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:[") {
			inodes[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	type row struct{ local, remote netip.AddrPort }
	var rows []row
	listening := map[uint16]bool{}
	for _, file := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "net", file))
		if err != nil {
			continue
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			field := strings.Fields(s.Text())
			if len(field) < 10 || !inodes[field[9]] {
				continue
			}
			local, remote := parseProcAddr(field[1]), parseProcAddr(field[2])
			if field[3] == "0A" {
				listening[local.Port()] = true
			} else if remote.Port() != 0 {
				rows = append(rows, row{local, remote})
			}
		}
		f.Close()
	}
	var all []netip.AddrPort
	for _, r := range rows {
		if !listening[r.local.Port()] {
			all = append(all, r.remote)
		}
	}
	return all
}

// parseProcAddr reads an address of /proc/net/tcp: words in host byte order.
func parseProcAddr(s string) netip.AddrPort {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	if err != nil {
		return netip.AddrPort{}
	}
	for i := 0; i+4 <= len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, _ := netip.AddrFromSlice(b)
	n, _ := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(a.Unmap(), uint16(n))
}

// processesOf returns the processes whose command line or environment names dir.
func processesOf(dir string) (pids []string) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		for _, file := range []string{"cmdline", "environ"} {
			if b, err := os.ReadFile(filepath.Join(p, file)); err == nil && strings.Contains(string(b), dir) {
				pids = append(pids, filepath.Base(p))
				break
			}
		}
	}
	return pids
}
