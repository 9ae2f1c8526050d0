package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tunic/cmd/localnet"
)

// setup gives a script addresses of loopback that nobody else uses, $A to $G,
// each in a /16 of its own, and stops the test networks that it leaves behind
// where it fails.
func setup(env *testscript.Env) error {
	octets := rand.Perm(200)
	for i, name := range strings.Split("ABCDEFG", "") {
		env.Setenv(name, fmt.Sprintf("127.%d.%d.%d", 40+octets[i], rand.IntN(256), 1+rand.IntN(250)))
	}
	env.Defer(func() {
		found, _ := filepath.Glob(filepath.Join(env.WorkDir, "*", "nodes.json"))
		for _, path := range found {
			_, _ = localnet.Down(context.Background(), filepath.Dir(path))
		}
	})
	return nil
}

// capture NAME PATTERN sets a variable to what the first group of the pattern
// matches in the standard output of the last command.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME PATTERN")
	}
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) < 2 {
		ts.Fatalf("%q is not in the output", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// envsubst FILE... replaces variables in files.
func envsubst(ts *testscript.TestScript, _ bool, args []string) {
	for _, file := range args {
		text := os.Expand(ts.ReadFile(file), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
	}
}

// await PATTERN PROGRAM ARGS... runs a program again and again until its
// standard output matches.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await PATTERN PROGRAM ARGS...")
	}
	want := regexp.MustCompile("(?m)" + args[0])
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%q does not show in the output: %v", args[0], err)
		}
	}
}

// hangup NAME sends SIGHUP to a program in the background.
func hangup(ts *testscript.TestScript, neg bool, args []string) { signalTo(ts, syscall.SIGHUP, args) }

func signalTo(ts *testscript.TestScript, s os.Signal, args []string) {
	for _, cmd := range ts.BackgroundCmds() {
		if len(args) == 1 && slices.Contains(cmd.Args, args[0]) {
			ts.Check(cmd.Process.Signal(s))
			return
		}
	}
	ts.Fatalf("no program in the background has the one argument that is given: %v", args)
}

// modes DIR... fails where others may open a file below a directory.
func modes(ts *testscript.TestScript, _ bool, args []string) {
	for _, dir := range args {
		ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				err = fmt.Errorf("%s has mode %v", path, info.Mode())
			}
			return err
		}))
	}
}

// nodesEntry is an entry of nodes.json: programs rely on its keys.
type nodesEntry struct {
	Name, Role, Dir, Socks *string
	PID                    *int
}

// checkNodes FILE AUTHORITIES RELAYS CLIENTS fails where FILE is not the list
// of a network's nodes, with just the keys that are promised.
func checkNodes(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: nodes FILE AUTHORITIES RELAYS CLIENTS")
	}
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	d.DisallowUnknownFields()
	var all []nodesEntry
	ts.Check(d.Decode(&all))
	roles := map[string]int{}
	for _, n := range all {
		switch {
		case n.Name == nil || n.Role == nil || n.Dir == nil || n.PID == nil || n.Socks == nil:
			ts.Fatalf("a key is missing in an entry of %s", args[0])
		case *n.PID <= 0 || !filepath.IsAbs(*n.Dir) || filepath.Base(*n.Dir) != *n.Name:
			ts.Fatalf("node %s has pid %d and directory %s", *n.Name, *n.PID, *n.Dir)
		case (*n.Role == "client") != strings.HasPrefix(*n.Socks, "127.0.0.1:"), *n.Role != "client" && *n.Socks != "":
			ts.Fatalf("%s %s has the proxy %q", *n.Role, *n.Name, *n.Socks)
		}
		roles[*n.Role]++
	}
	if got := fmt.Sprint(roles["authority"], roles["relay"], roles["client"]); got != strings.Join(args[1:], " ") {
		ts.Fatalf("%s authorities, relays and clients, want %v", got, args[1:])
	}
}
