//go:build !linux

package bench

import (
	"errors"
	"time"
)

// othersCPU says that processCPU works here.
const othersCPU = false

// processCPU would return the processor time of another process.
func processCPU(int) (time.Duration, error) {
	return 0, errors.New("processor time of other processes is not measured on this system")
}
