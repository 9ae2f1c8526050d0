package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// watchPeers collects the addresses that a process is connected to, out of TCP
// connections that it opened and of its UDP sockets, until the returned function is
// called.
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
// those to a port that it listens on, and of its UDP sockets: 0.0.0.0:0 of one that
// is not connected, and may send anywhere.
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
	var all []netip.AddrPort
	listening := map[uint16]bool{}
	for _, file := range []string{"tcp", "tcp6", "udp", "udp6"} {
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
			if strings.HasPrefix(file, "udp") {
				all = append(all, remote)
			} else if field[3] == "0A" {
				listening[local.Port()] = true
			} else if remote.Port() != 0 {
				rows = append(rows, row{local, remote})
			}
		}
		f.Close()
	}
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

// A UDP socket counts as a peer, connected or not.
func TestPeersSeesUDP(t *testing.T) {
	to, err := net.ListenPacket("udp", "127.0.0.1:0") // not connected itself
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	from, err := net.Dial("udp", to.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	seen := peers(os.Getpid())
	for _, want := range []netip.AddrPort{to.LocalAddr().(*net.UDPAddr).AddrPort(), netip.MustParseAddrPort("0.0.0.0:0")} {
		if !slices.Contains(seen, want) {
			t.Errorf("%v is not among %v", want, seen)
		}
	}
}
