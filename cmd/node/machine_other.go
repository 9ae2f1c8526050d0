//go:build !linux && !darwin && !windows

package node

// machineMemory returns the machine's memory in bytes: not known here.
func machineMemory() uint64 { return 0 }
