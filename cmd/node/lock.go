package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrInUse says that another process runs on a state directory.
var ErrInUse = errors.New("state directory in use")

// lockName is the file in the state directory that a running node holds locked.
const lockName = "lock"

// Lock makes a state directory where it is missing and takes it for this process
// until the file returned is closed. Two processes with the same keys would do
// each other, and their network, harm.
func Lock(state string) (*os.File, error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if info, err := os.Stat(state); err == nil && info.Mode()&fs.ModeSticky != 0 {
		return nil, fmt.Errorf("state directory %s is everybody's: give the node one of its own, such as %s", state, filepath.Join(state, "tunic"))
	}
	f, err := os.OpenFile(filepath.Join(state, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	switch err := tryLock(f); {
	case errors.Is(err, ErrInUse):
		f.Close()
		return nil, inUse(state)
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("state directory: lock: %w", err)
	}
	return f, nil
}

// inUse says who has the state directory, as far as that node answers.
func inUse(state string) error {
	holder := "another tunic process"
	if s, err := Ask(context.Background(), state); err == nil {
		holder = fmt.Sprintf("the running %s, process %d", s.Role, s.PID)
	}
	return fmt.Errorf("%s: %w by %s", state, ErrInUse, holder)
}
