package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"tunic/cmd/localnet"
)

// Where one node fails, the others are stopped, and the end of its log is shown.
func TestNodeThatFailsStopsTheNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network of processes")
	}
	taken, _ := strconv.Atoi(takenPort(t))
	rows := map[string]struct {
		plan       localnet.Plan
		executable string
		want       []string
	}{
		"a port is taken": {localnet.Plan{Socks: uint16(taken)}, program(t), []string{"client1", "address already in use", "choose another port"}},
		"a relay crashes": {localnet.Plan{}, crashing(t, "relay2"), []string{"relay2", "exit status 3", "all went wrong"}},
	}
	for name, row := range rows {
		for _, tied := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, tied %v", name, tied), func(t *testing.T) {
				t.Parallel()
				plan := row.plan
				plan.Dir, plan.Authorities, plan.Relays, plan.Clients = filepath.Join(t.TempDir(), "net"), 1, 3, 1
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := localnet.Start(ctx, plan, localnet.Options{Executable: row.executable, Tied: tied})
				if err == nil {
					t.Fatal("the network runs")
				}
				for _, want := range row.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("the error does not say %q: %v", want, err)
					}
				}
				(&launched{dir: plan.Dir}).leavesNoProcess(t)
			})
		}
	}
}

// crashing returns a program that is tunic but for one node, which crashes.
func crashing(t *testing.T, node string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	path := filepath.Join(t.TempDir(), "crashing")
	text := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in */%s/*) echo all went wrong >&2; exit 3;; esac\nexec %s \"$@\"\n", node, program(t))
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// A start that is interrupted leaves no process.
func TestTestnetUpInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such signals")
	}
	dir := filepath.Join(t.TempDir(), "net")
	up := startProgram(t, "testnet", "up", "--dir", dir)
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if len(processesOf(filepath.Join(dir, "relay1"))) > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no relay starts")
		}
	}
	if err := up.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if out, status := up.end(t); status != 1 {
		t.Errorf("exit status %d: %s%s", status, out, up.stderr.String())
	}
	(&launched{dir: dir}).leavesNoProcess(t)
}
