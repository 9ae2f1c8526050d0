package bench

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// othersCPU says that processCPU works here.
const othersCPU = true

// processCPU returns the processor time of another process so far.
func processCPU(pid int) (time.Duration, error) {
	var t unix.Timespec
	// The number of a process's clock: clock_getcpuclockid(3), MAKE_PROCESS_CPUCLOCK
	// with CPUCLOCK_SCHED in the kernel.
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("processor time of a node: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
