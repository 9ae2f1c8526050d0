// Package docs_test holds the code to what docs/architecture.md says of it.
package docs_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floorRow is a row of the table in architecture.md: floor and package.
var floorRow = regexp.MustCompile("^\\| (\\d+) \\| `([a-z0-9/]+)` \\|")

// floors reads the table of floors.
func floors(t *testing.T) map[string]int {
	t.Helper()
	f, err := os.Open("architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := map[string]int{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if row := floorRow.FindStringSubmatch(s.Text()); row != nil {
			m["tunic/"+row[2]], _ = strconv.Atoi(row[1])
		}
	}
	if len(m) == 0 {
		t.Fatal("architecture.md has no table of floors")
	}
	return m
}

// A goPackage is what the go command says of a package.
type goPackage struct {
	ImportPath, Dir, Doc string
	GoFiles              []string
	Imports, TestImports []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,GoFiles,Imports,TestImports", "tunic/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 { // not a folder of tests alone
			all = append(all, p)
		}
	}
	if len(all) < 15 {
		t.Fatalf("go list found %d packages", len(all))
	}
	return all
}

func TestImportsGoDown(t *testing.T) {
	floor := floors(t)
	for _, p := range packages(t) {
		own, ok := floor[p.ImportPath]
		if !ok {
			t.Errorf("%s has no floor in architecture.md", p.ImportPath)
			continue
		}
		// Tests inside a package are its own code; tests in an x_test package may import anything.
		for _, imp := range slices.Concat(p.Imports, p.TestImports) {
			if below, ok := floor[imp]; ok && below >= own {
				t.Errorf("%s (floor %d) imports %s (floor %d)", p.ImportPath, own, imp, below)
			}
		}
	}
}

func TestTableNamesRealPackages(t *testing.T) {
	have := map[string]bool{}
	for _, p := range packages(t) {
		have[p.ImportPath] = true
	}
	for path := range floors(t) {
		if !have[path] {
			t.Errorf("architecture.md gives %s a floor, but there is no such package", path)
		}
	}
}

// never lists what a package's own files must not import: codecs and pure
// decisions do no I/O, so that a simulation can drive them.
var never = map[string][]string{
	"tunic/cell":               {"net", "time", "os"},
	"tunic/cell/hybrid":        {"net", "time", "os"},
	"tunic/circuit/onion":      {"net", "time", "os"},
	"tunic/circuit/congestion": {"net", "os"},
	"tunic/client/path":        {"net", "net/http", "os", "log/slog"},
	"tunic/directory":          {"net", "net/http"},

	"tunic/directory/rules":             {"net", "os", "log/slog"},
	"tunic/directory/admission":         {"net", "os", "log/slog"},
	"tunic/directory/admission/weigh":   {"net", "os", "log/slog"},
	"tunic/directory/admission/detect":  {"net", "os", "log/slog"},
	"tunic/directory/admission/lottery": {"net", "os", "log/slog"},
}

func TestPurePackagesStayPure(t *testing.T) {
	for _, p := range packages(t) {
		for _, bad := range never[p.ImportPath] {
			if slices.Contains(p.Imports, bad) {
				t.Errorf("%s imports %s", p.ImportPath, bad)
			}
		}
	}
}

// Nothing below cmd reads flags or the environment.
func TestOnlyCmdReadsTheEnvironment(t *testing.T) {
	environ := regexp.MustCompile(`\bos\.(Getenv|LookupEnv|Environ|Args)\b`)
	for _, p := range packages(t) {
		if strings.HasPrefix(p.ImportPath, "tunic/cmd/") {
			continue
		}
		if slices.Contains(p.Imports, "flag") {
			t.Errorf("%s imports flag", p.ImportPath)
		}
		for _, name := range p.GoFiles {
			b, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if environ.Match(b) {
				t.Errorf("%s/%s reads the environment", p.ImportPath, name)
			}
		}
	}
}

func TestEveryPackageSaysItsJob(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
