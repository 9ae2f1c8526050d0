//go:build unix

package localnet

import (
	"os/exec"
	"syscall"
)

// detach gives the process a session of its own, so that Ctrl-C in our terminal
// reaches us alone and we stop it in order.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
