package node

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks the file for this process until it is closed. It does not wait.
func tryLock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrInUse
	}
	return err
}

// openFiles returns 0: there is no limit that matters.
func openFiles() uint64 { return 0 }

// ours is true: Windows keeps a user's directories apart by itself.
func ours(fs.FileInfo) bool { return true }
