//go:build unix

package localnet

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// runs reports whether the node's process is there. On Linux it also looks
// whether the process is that node: numbers are used again.
func runs(n *Node) bool {
	if n.PID <= 0 || errors.Is(syscall.Kill(n.PID, 0), syscall.ESRCH) {
		return false
	}
	if runtime.GOOS != "linux" {
		return true
	}
	proc := filepath.Join("/proc", strconv.Itoa(n.PID))
	line, err := os.ReadFile(filepath.Join(proc, "cmdline"))
	if err != nil || !strings.Contains(string(line), n.Config()) {
		return false // gone, a zombie of somebody's, or another program
	}
	return true
}
