package keys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// ErrPermissions says that others than the owner may read or change a file
// that holds a secret, or the directory it lies in.
var ErrPermissions = errors.New("permissions too wide")

const ( // our choice: modes of what we write
	fileMode = 0o600
	dirMode  = 0o700
)

// suffixes of files under way: [dirStorage.sweep] finishes what they began.
const (
	tempSuffix  = ".tmp"
	eraseSuffix = ".erase"
)

// WriteFile puts data at path so that whoever reads path, also after a crash,
// finds either what was there before or all of data. The file has mode 0600;
// file and directory are on disk when WriteFile returns.
func WriteFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*"+tempSuffix) // mode 0600
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	err = writeSync(f, data)
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // what remains is swept at the next start
		return fmt.Errorf("write: %w", err)
	}
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// writeSync writes data to f, syncs and closes it.
func writeSync(f *os.File, data []byte) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// ReadFile returns the content of the regular file at path, at most limit
// bytes. On systems with Unix permissions it refuses, with [ErrPermissions], a
// file that anybody but its owner may read or write.
func ReadFile(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("read %s: not a regular file: %w", path, ErrMalformed)
	case unixModes() && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("read %s: mode %04o, want 0600: %w", path, info.Mode().Perm(), ErrPermissions)
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if len(b) > limit {
		clear(b)
		return nil, fmt.Errorf("read %s: over %d bytes: %w", path, limit, ErrMalformed)
	}
	return b, nil
}

// makeDir makes dir with mode 0700 where it is missing, and refuses one that
// everybody may write to.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("key directory: %w", err)
	}
	return checkDir(dir)
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("key directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("key directory %s: not a directory: %w", dir, ErrMalformed)
	}
	if unixModes() && info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("key directory %s: mode %04o, want 0700: %w", dir, info.Mode().Perm(), ErrPermissions)
	}
	return nil
}

// unixModes reports whether the system's permission bits mean what they say.
func unixModes() bool { return runtime.GOOS != "windows" && runtime.GOOS != "plan9" }

// syncDir makes the names in dir durable, where a directory can be synced.
func syncDir(dir string) error {
	if !unixModes() {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// eraseFile overwrites the file at path with zeros and removes it. It is
// renamed first, so that a crash in between leaves no broken key under a name
// that counts. On file systems that copy on write, and on flash memory, old
// bytes may survive below.
func eraseFile(path string) error {
	gone := path + eraseSuffix
	if err := os.Rename(path, gone); err != nil {
		if _, statErr := os.Lstat(gone); !errors.Is(err, fs.ErrNotExist) || statErr != nil {
			return fmt.Errorf("erase: %w", err)
		}
		// An earlier try came as far as the rename.
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	return finishErase(gone)
}

func finishErase(gone string) error {
	f, err := os.OpenFile(gone, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("erase: %w", err), f.Close())
	}
	if err := writeSync(f, make([]byte, min(info.Size(), maxFile))); err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	if err := os.Remove(gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("erase: %w", err)
	}
	if err := syncDir(filepath.Dir(gone)); err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	return nil
}
