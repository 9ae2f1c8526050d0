package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
)

// errFault is what a faulty disk says.
var errFault = errors.New("fault")

// faulty is a disk in memory that fails at one call, in one of three ways.
type faulty struct {
	files map[string][]byte
	calls int // writes and erasures so far
	at    int // the call that fails, from 1; 0: none
	how   fault
	dead  bool
}

type fault int

const (
	refuse  fault = iota // the call does nothing and fails; later ones work
	lie                  // the call does its work and fails; later ones work
	crash                // the call does nothing, and nothing works any more
	crashed              // the call does its work, and nothing works any more
)

var faults = []fault{refuse, lie, crash, crashed}

func (f fault) String() string { return [...]string{"refuse", "lie", "crash", "crashed"}[f] }

func newDisk() *faulty { return &faulty{files: map[string][]byte{}} }

// reboot returns the disk as the next process finds it. Calls count on.
func (d *faulty) reboot() *faulty {
	return &faulty{files: maps.Clone(d.files), calls: d.calls, at: d.at, how: d.how}
}

func (d *faulty) list() ([]string, error) {
	if d.dead {
		return nil, errFault
	}
	return slices.Sorted(maps.Keys(d.files)), nil
}

func (d *faulty) read(name string) ([]byte, error) {
	if d.dead {
		return nil, errFault
	}
	b, ok := d.files[name]
	if !ok {
		return nil, fmt.Errorf("read %s: %w", name, fs.ErrNotExist)
	}
	return bytes.Clone(b), nil
}

func (d *faulty) write(name string, data []byte) error {
	return d.change(func() error { d.files[name] = bytes.Clone(data); return nil })
}

func (d *faulty) erase(name string) error {
	return d.change(func() error {
		if _, ok := d.files[name]; !ok {
			return fmt.Errorf("erase %s: %w", name, fs.ErrNotExist)
		}
		delete(d.files, name)
		return nil
	})
}

func (d *faulty) change(do func() error) error {
	d.calls++
	if d.dead {
		return errFault
	}
	if d.calls != d.at {
		return do()
	}
	d.dead = d.how == crash || d.how == crashed
	if d.how == lie || d.how == crashed {
		_ = do()
	}
	return errFault
}
