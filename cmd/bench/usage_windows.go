package bench

import (
	"syscall"
	"time"
)

// fineCPU says that ownCPU is exact enough for single batches of a loop: here it
// counts in ticks of a sixtieth of a second.
const fineCPU = false

// ownCPU returns the processor time of this process so far, in the program and in
// the kernel.
func ownCPU() time.Duration {
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0 // never: it is a constant
	}
	var created, ended, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(self, &created, &ended, &kernel, &user); err != nil {
		return 0
	}
	return ticks(kernel) + ticks(user)
}

// ticks returns a duration in units of 100 ns.
func ticks(f syscall.Filetime) time.Duration {
	return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100
}
