package main

import (
	"os"
	"os/exec"
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
