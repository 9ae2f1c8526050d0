package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	inTicks  = regexp.MustCompile("`([^`]+)`")
	goFile   = regexp.MustCompile(`^[a-z/_]+\.go$`)
	goPath   = regexp.MustCompile(`^(cell|circuit|client|directory|relay|cmd|docs)(/[a-z]+)*$`)
	goMethod = regexp.MustCompile(`^([A-Za-z]\w*)\.([A-Za-z]\w*)$`)
	goName   = regexp.MustCompile(`^[A-Za-z]\w*$`)
)

// declares reports whether the source declares name, a function or type, or a
// method as Type.Method.
func declares(source, name string) bool {
	if m := goMethod.FindStringSubmatch(name); m != nil {
		return regexp.MustCompile(`(?m)^func \(\w* ?\*?` + m[1] + `\) ` + m[2] + `\(`).MatchString(source)
	}
	return regexp.MustCompile(`(?m)^(func|type) ` + name + `\b`).MatchString(source)
}

// What architecture.md says of the code goes stale unless somebody looks: a name
// behind a file is one that the file declares.
func TestArchitectureNamesWhatIsThere(t *testing.T) {
	b, err := os.ReadFile("architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for line := range strings.Lines(string(b)) {
		source := "" // of the file named last on this line
		for _, m := range inTicks.FindAllStringSubmatch(line, -1) {
			name := m[1]
			switch {
			case goFile.MatchString(name) && strings.Contains(name, "/"):
				b, err := os.ReadFile(filepath.Join("..", name))
				if err != nil {
					t.Errorf("architecture.md names %s: %v", name, err)
				}
				source = string(b)
			case goPath.MatchString(name):
				if info, err := os.Stat(filepath.Join("..", name)); err != nil || !info.IsDir() {
					t.Errorf("architecture.md names the package %s, which does not exist", name)
				}
			case source != "" && (goName.MatchString(name) || goMethod.MatchString(name)):
				checked++
				if !declares(source, name) {
					t.Errorf("architecture.md says that %s is declared in the file before it: %s", name, strings.TrimSpace(line))
				}
			}
		}
	}
	if checked < 60 {
		t.Errorf("checked %d names: does the pattern still fit?", checked)
	}
}

// A benchmark that performance.md names exists.
func TestPerformanceNamesBenchmarks(t *testing.T) {
	b, err := os.ReadFile("performance.md")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Benchmark\w+)\(`).FindAllStringSubmatch(string(source), -1) {
			have[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\bBenchmark\w+`).FindAllString(string(b), -1) {
		if !have[m] {
			t.Errorf("performance.md names %s, which does not exist", m)
		}
	}
}
