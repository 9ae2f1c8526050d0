package keys

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// storage is where a [Set] lives: a directory, or a test's faulty one.
type storage interface {
	// list returns the names of the files.
	list() ([]string, error)
	// read returns a file's content; fs.ErrNotExist is in the error's chain
	// when there is none.
	read(name string) ([]byte, error)
	// write replaces a file, atomically and durably.
	write(name string, data []byte) error
	// erase destroys a file's content, then removes it, durably.
	erase(name string) error
}

const ( // our choice, bytes and files
	maxFile  = 4096 // the longest key file has under 700
	maxFiles = 256  // in the directory; a set has at most 10
)

// dirStorage is a directory.
type dirStorage string

// openDir checks dir and finishes what a crash interrupted.
func openDir(dir string) (dirStorage, error) {
	d := dirStorage(dir)
	if err := checkDir(dir); err != nil {
		return "", err
	}
	return d, d.sweep()
}

// sweep removes temporary files and finishes erasures that a crash cut short.
func (d dirStorage) sweep() error {
	names, err := d.list()
	if err != nil {
		return err
	}
	for _, name := range names {
		// A temporary file may hold a key: it is erased like one.
		if strings.HasSuffix(name, eraseSuffix) || strings.HasSuffix(name, tempSuffix) {
			if err := finishErase(d.path(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d dirStorage) path(name string) string { return filepath.Join(string(d), name) }

func (d dirStorage) list() ([]string, error) {
	f, err := os.Open(string(d))
	if err != nil {
		return nil, fmt.Errorf("key directory: %w", err)
	}
	defer f.Close()
	names, err := f.Readdirnames(maxFiles + 1)
	if len(names) > maxFiles {
		return nil, fmt.Errorf("key directory %s: over %d files: %w", string(d), maxFiles, ErrMalformed)
	}
	if err != nil && len(names) != 0 {
		return nil, fmt.Errorf("key directory: %w", err)
	}
	return names, nil // io.EOF where there are none
}

func (d dirStorage) read(name string) ([]byte, error) { return ReadFile(d.path(name), maxFile) }

func (d dirStorage) write(name string, data []byte) error { return WriteFile(d.path(name), data) }

func (d dirStorage) erase(name string) error { return eraseFile(d.path(name)) }
