package keys

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteFileReplacesWithMode0600(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.key")
	for _, text := range []string{"first", "second, longer", "3"} {
		if err := WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := ReadFile(path, 100)
		if err != nil || string(got) != text {
			t.Fatalf("read %q, %v; want %q", got, err, text)
		}
	}
	info, err := os.Stat(path)
	if err != nil || unixModes() && info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestWriteFileLeavesNothingWhenItFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "sub"), 0o700); err != nil { // a directory can't be replaced
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("x")); err == nil {
		t.Fatal("a directory was replaced")
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
	if err := WriteFile(filepath.Join(dir, "missing", "k"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a missing directory: %v", err)
	}
}

func TestReadFileChecks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "k.key")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path, 5); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := ReadFile(path, 4); !errors.Is(err, ErrMalformed) {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := ReadFile(dir, 5); !errors.Is(err, ErrMalformed) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := ReadFile(filepath.Join(dir, "none"), 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if !unixModes() {
		t.Skip("this system has no Unix permissions")
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o602, 0o644, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFile(path, 5); !errors.Is(err, ErrPermissions) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}

func TestEraseOverwrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.key")
	if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	witness, err := os.Open(path) // sees the bytes after the name is gone
	if err != nil {
		t.Fatal(err)
	}
	defer witness.Close()
	if err := eraseFile(path); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 6)
	if _, err := witness.ReadAt(b, 0); err != nil || !bytes.Equal(b, make([]byte, 6)) {
		t.Errorf("content is %q, %v", b, err)
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
	if err := eraseFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("again: %v", err)
	}
}

func TestEraseGoesOnWhereItStopped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.key")
	if err := os.WriteFile(path+eraseSuffix, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := eraseFile(path); err != nil {
		t.Fatal(err)
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestOpenSweepsWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	witness := map[string]*os.File{}
	for _, name := range []string{"signing.key.123" + tempSuffix, "circuit-00.key" + eraseSuffix} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		witness[name] = f
	}
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openDir(dir); err != nil {
		t.Fatal(err)
	}
	for name, f := range witness {
		b := make([]byte, 6)
		if _, err := f.ReadAt(b, 0); err != nil || !bytes.Equal(b, make([]byte, 6)) {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 || names[0].Name() != "README" {
		t.Errorf("left: %v", names)
	}
}

func TestKeyDirectoryChecks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "keys")
	if err := makeDir(dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir)
	if err != nil || unixModes() && info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkDir(file); !errors.Is(err, ErrMalformed) {
		t.Errorf("a file: %v", err)
	}
	if !unixModes() {
		t.Skip("this system has no Unix permissions")
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreate(dir, testTime); !errors.Is(err, ErrPermissions) {
		t.Errorf("a directory for everybody: %v", err)
	}
}

func TestKeyDirectoryHasALimit(t *testing.T) {
	dir := t.TempDir()
	for i := range maxFiles + 1 {
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i/26))+string(rune('a'+i%26))), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(dir); !errors.Is(err, ErrMalformed) {
		t.Errorf("too many files: %v", err)
	}
}
