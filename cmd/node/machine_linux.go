package node

import (
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machineMemory returns how much memory the process can have, in bytes: the
// machine's, or less where a control group says so. 0 if nothing is known.
func machineMemory() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	total := uint64(info.Totalram) * uint64(info.Unit)
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return total
	}
	return min(total, groupMemory("/sys/fs/cgroup", string(text)))
}

// groupMemory returns the least limit of the process's control group and those
// above it; text is /proc/self/cgroup, root where the groups are.
func groupMemory(root, text string) uint64 {
	least := uint64(1<<64 - 1)
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		dir, file := root, "memory.max"
		switch {
		case f[1] == "memory": // version 1
			dir, file = path.Join(root, "memory"), "memory.limit_in_bytes"
		case f[1] != "":
			continue
		}
		for p := path.Clean("/" + f[2]); ; p = path.Dir(p) {
			if n, ok := limitIn(path.Join(dir, p, file)); ok {
				least = min(least, n)
			}
			if p == "/" {
				break
			}
		}
	}
	return least
}

// limitIn reads a limit in bytes; "max", or no such file, is none.
func limitIn(name string) (uint64, bool) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil && n > 0
}
