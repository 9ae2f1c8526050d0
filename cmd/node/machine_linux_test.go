package node

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A control group's limit counts, and those of the groups above it, in both versions
// of the kernel's interface.
func TestGroupMemory(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"memory.max":                     "max\n",
		"a/memory.max":                   "3000000\n",
		"a/b/memory.max":                 "5000000\n",
		"memory/memory.limit_in_bytes":   "9223372036854771712\n",
		"memory/x/memory.limit_in_bytes": "2000000\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const none = 1<<64 - 1
	for text, want := range map[string]uint64{
		"":                                    none,
		"0::/\n":                              none,
		"0::/a/b\n":                           3000000,
		"0::/a/b/elsewhere\n":                 3000000,
		"4:memory:/x\n2:cpu:/a\n":             2000000,
		"0::/../../a\n":                       3000000,
		"nonsense\n::\n5:memory\n0::relative": none,
	} {
		if got := groupMemory(root, text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if machineMemory() < 1<<20 {
		t.Errorf("this machine has %d bytes", machineMemory())
	}
}

// The Go runtime raises the soft limit of open files to the hard one: nodes rely on
// it, and so need no code of their own.
func TestFileLimitIsRaised(t *testing.T) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	if r.Cur+1 < r.Max || openFiles() != r.Cur {
		t.Errorf("%d files may be open, %d at most, openFiles says %d", r.Cur, r.Max, openFiles())
	}
}
