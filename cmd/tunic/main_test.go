package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The test binary is also the program: as "tunic" it runs the command line.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tunic": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: setup, Cmds: map[string]func(*testscript.TestScript, bool, []string){
		"await":    await,
		"capture":  capture,
		"envsubst": envsubst,
		"hangup":   hangup,
		"modes":    modes,
		"nodes":    checkNodes,
	}})
}

func TestHowACommandEnds(t *testing.T) {
	stopped, stop := context.WithCancel(context.Background())
	stop()
	inside := fmt.Errorf("kax17: %w", context.Canceled)
	for _, tc := range []struct {
		ctx    context.Context
		err    error
		said   string
		status int
	}{
		{context.Background(), nil, "", 0},
		{context.Background(), errors.New("disk full"), "tunic: disk full\n", 1},
		{context.Background(), inside, "tunic: kax17: context canceled\n", 1},
		{context.Background(), usageError{errors.New("no such row")}, "tunic: no such row\n", 2},
		{stopped, inside, "tunic: interrupted\n", 1},
		{stopped, errors.New("disk full"), "tunic: disk full\n", 1},
	} {
		var said strings.Builder
		if status := conclude(tc.ctx, tc.err, &said); status != tc.status || said.String() != tc.said {
			t.Errorf("%v (stopped: %v): %d, %q", tc.err, tc.ctx.Err(), status, said.String())
		}
	}
}

// Flags that lack, or exclude each other, are a wrong call like flags that are not known.
func TestWrongFlagsAreAWrongCall(t *testing.T) {
	for _, args := range [][]string{
		{"sim", "run"}, {"network", "audit"}, {"keys", "show"}, {"keys", "show", "--foo"},
		{"keys", "renew", "--state", "x", "--link", "--note"},
	} {
		root := newRoot()
		root.SetArgs(args)
		var usage usageError
		if err := root.Execute(); !errors.As(err, &usage) || !strings.Contains(err.Error(), "--help") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// program returns the path of the program under test.
func program(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("tunic")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// need returns the path of another program, or skips the test without it;
// where TUNIC_REQUIRE_PROGRAMS is set, its absence is a failure.
func need(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("TUNIC_REQUIRE_PROGRAMS") != "" {
		t.Fatalf("%s is not installed", names[0])
	}
	t.Skipf("%s is not installed", names[0])
	return ""
}
