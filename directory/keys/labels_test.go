package keys

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// labelGroups returns the constants of labels.go, one list per const block.
func labelGroups(t *testing.T) [][]string {
	file, err := parser.ParseFile(token.NewFileSet(), "labels.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var groups [][]string
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		var group []string
		for _, s := range g.Specs {
			for _, v := range s.(*ast.ValueSpec).Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				group = append(group, text)
			}
		}
		groups = append(groups, group)
	}
	return groups
}

func TestLabelsDiffer(t *testing.T) {
	all := map[string]bool{}
	for _, group := range labelGroups(t) {
		for i, a := range group {
			if all[a] {
				t.Errorf("label %q has two purposes", a)
			}
			all[a] = true
			if !strings.HasPrefix(a, "tunic ") || len(a) > 255 {
				t.Errorf("label %q", a)
			}
			for j, b := range group {
				if i != j && strings.HasPrefix(a, b) {
					t.Errorf("label %q begins with %q", a, b)
				}
			}
		}
	}
	if len(all) < 15 {
		t.Errorf("found only %d labels", len(all))
	}
}

func TestPrologues(t *testing.T) {
	network := [32]byte{0: 0xaa, 31: 0xab}
	id := RelayID{0: 0xba, 31: 0xbb}
	key := CircuitKeyID{1, 2, 3, 4, 5, 6, 7, 8}
	link := append(append([]byte("tunic link\x01"), network[:]...), id[:]...)
	if got := LinkPrologue(1, network, id); !bytes.Equal(got, link) {
		t.Errorf("LinkPrologue = %x, want %x", got, link)
	}
	hop := append(append(append([]byte("tunic hop\x01"), network[:]...), id[:]...), key[:]...)
	if got := HopPrologue(1, network, id, key); !bytes.Equal(got, hop) {
		t.Errorf("HopPrologue = %x, want %x", got, hop)
	}
}
