package node

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// memoryStatus is MEMORYSTATUSEX.
type memoryStatus struct {
	length, load                                                                     uint32
	total, free, totalPage, freePage, totalVirtual, freeVirtual, freeExtendedVirtual uint64
}

// machineMemory returns the machine's memory in bytes, 0 if it is not known.
func machineMemory() uint64 {
	var s memoryStatus
	s.length = uint32(unsafe.Sizeof(s))
	ask := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")
	if ok, _, _ := ask.Call(uintptr(unsafe.Pointer(&s))); ok == 0 {
		return 0
	}
	return s.total
}
