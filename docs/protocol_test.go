package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A page is one of the documents: its headings, and the names by which links
// within and from other pages reach them.
type page struct {
	text     string
	headings []string
	anchors  map[string]bool
}

var (
	headingLine = regexp.MustCompile(`^#{1,6} (.+)$`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

// anchorOf returns a heading's anchor, as the usual renderers of Markdown make it.
func anchorOf(heading string) string {
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// readPage reads a Markdown file.
func readPage(t *testing.T, path string) page {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := page{text: string(b), anchors: map[string]bool{}}
	code := false
	for line := range strings.Lines(p.text) {
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		if h := headingLine.FindStringSubmatch(strings.TrimSuffix(line, "\n")); h != nil && !code {
			p.headings = append(p.headings, h[1])
			p.anchors[anchorOf(h[1])] = true
		}
	}
	return p
}

// citation finds in code the name of a page, a comma, and headings in quotes, one
// or several; nextLines joins the lines of a comment before.
var (
	citation  = regexp.MustCompile(`docs/([a-z-]+\.md),\s+((?:"[^"\n]+"(?:,| and)?\s*)+)`)
	quoted    = regexp.MustCompile(`"([^"]+)"`)
	nextLines = regexp.MustCompile(`\n\s*// ?`)
)

// Comments say where the specification is by the name of a section.
func TestCitedSectionsExist(t *testing.T) {
	pages := map[string]page{}
	cited := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := nextLines.ReplaceAllString(string(b), " ")
		for _, c := range citation.FindAllStringSubmatch(text, -1) {
			p, ok := pages[c[1]]
			if !ok {
				p = readPage(t, c[1])
				pages[c[1]] = p
			}
			for _, q := range quoted.FindAllStringSubmatch(c[2], -1) {
				cited++
				if !slices.Contains(p.headings, q[1]) {
					t.Errorf("%s cites docs/%s, %q, which is no heading there", path, c[1], q[1])
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if cited < 50 {
		t.Errorf("found %d citations: does the pattern still fit?", cited)
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// pages lists the documents that readers start from.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "../*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

func TestLinksLeadSomewhere(t *testing.T) {
	for _, path := range pages(t) {
		for _, l := range link.FindAllStringSubmatch(readPage(t, path).text, -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(l[1], "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", path, l[1])
				continue
			}
			if anchor != "" && !readPage(t, target).anchors[anchor] {
				t.Errorf("%s links to %s, where there is no such heading", path, l[1])
			}
		}
	}
}

// The specification is cited by heading, so a heading stands once, and in the
// table of contents.
func TestTableOfContents(t *testing.T) {
	p := readPage(t, "protocol.md")
	seen := map[string]bool{}
	for _, h := range p.headings[1:] {
		if seen[h] {
			t.Errorf("protocol.md has two headings %q", h)
		}
		seen[h] = true
		if entry := "- [" + h + "](#" + anchorOf(h) + ")"; !strings.Contains(p.text, entry) {
			t.Errorf("protocol.md's table of contents lacks %q", entry)
		}
	}
}
