package node

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestAnotherUsersNodeMayWellRun(t *testing.T) {
	if err := unanswered(fmt.Errorf("dial: %w", fs.ErrPermission)); errors.Is(err, ErrNotRunning) || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a socket that can't be opened: %v", err)
	}
	if err := unanswered(fmt.Errorf("dial: %w", fs.ErrNotExist)); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
}
