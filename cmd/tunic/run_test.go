package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A launched is the program as a process of its own, whose temporary files go to dir.
type launched struct {
	*exec.Cmd
	dir    string
	out    *bufio.Reader
	stderr bytes.Buffer
}

const ( // of a slow machine with other work, so that they only end what hangs
	runLimit = 2 * time.Minute  // of a run: what reads its output then sees the end
	patience = 90 * time.Second // of a wait for something that comes soon
)

func startProgram(t *testing.T, args ...string) *launched {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a network of processes")
	}
	d := &launched{dir: t.TempDir()}
	d.Cmd = exec.Command(program(t), args...)
	d.Env = append(os.Environ(), "TMPDIR="+d.dir, "TMP="+d.dir)
	d.Stderr = &d.stderr
	out, err := d.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.out = bufio.NewReader(out)
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(runLimit, func() { d.Process.Kill() })
	t.Cleanup(func() { late.Stop(); d.Process.Kill() })
	return d
}

// until reads what the program prints until a line holds word.
func (d *launched) until(t *testing.T, word string) {
	t.Helper()
	var seen strings.Builder
	for {
		line, err := d.out.ReadString('\n')
		seen.WriteString(line)
		if strings.Contains(line, word) {
			return
		}
		if err != nil {
			t.Fatalf("the program ends before it prints %q:\n%s%s", word, seen.String(), d.stderr.String())
		}
	}
}

// end returns the rest of what the program prints, and its exit status.
func (d *launched) end(t *testing.T) (out string, status int) {
	t.Helper()
	rest, err := io.ReadAll(d.out)
	if err != nil {
		t.Fatal(err)
	}
	err = d.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(rest), exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return string(rest), 0
}

func (d *launched) leavesNothing(t *testing.T) {
	t.Helper()
	d.leavesNoProcess(t)
	if left, err := os.ReadDir(d.dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// leavesNoProcess waits until no process has to do with the program's files.
func (d *launched) leavesNoProcess(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		left := processesOf(d.dir)
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("processes left behind: %v", left)
		}
	}
}
