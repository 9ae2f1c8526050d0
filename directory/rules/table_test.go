package rules

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tunic/directory"
)

// row is a row of the table of parameters: name, default, small, test, bounds,
// unit and reason.
var row = regexp.MustCompile("^\\| `([a-z0-9_]+)` \\| (-?[0-9,]+) \\| ([0-9,]+) \\| ([0-9,]+) \\| ([0-9,]+)…([0-9,]+) \\| ([^|]+) \\| ([^|]+) \\|$")

// The specification's table and the code's say the same, in the same order.
func TestTableIsTheSpecifications(t *testing.T) {
	b, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(b), "\n### Parameters of the rules\n")
	section, _, _ = strings.Cut(section, "\n### ")
	if !found {
		t.Fatal("docs/protocol.md has no table of parameters")
	}
	var got []string
	for line := range strings.Lines(section) {
		if m := row.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
			got = append(got, strings.ReplaceAll(strings.Join(m[1:7], " "), ",", ""))
		}
	}
	want := []string{fmt.Sprintln(smallName, smallDefault, smallDefault, smallDefault, 0, directory.MaxRelays),
		fmt.Sprintln(fullName, fullDefault, fullDefault, fullDefault, 0, directory.MaxRelays)}
	for _, e := range new(Rules).table() {
		want = append(want, fmt.Sprintln(e.name, e.value, e.small, e.test, e.least, e.most))
	}
	for i := range want {
		want[i] = strings.TrimSuffix(want[i], "\n")
	}
	if !slices.Equal(got, want) {
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("docs/protocol.md lacks %s", w)
			}
		}
		for _, g := range got {
			if !slices.Contains(want, g) {
				t.Errorf("docs/protocol.md has %s", g)
			}
		}
		t.Error("the tables differ, at least in their order")
	}
}

// Defaults lie within their bounds, and relaxing never narrows an entry's
// limits on relays' shares.
func TestTableIsSound(t *testing.T) {
	for _, e := range new(Rules).table() {
		for _, v := range []int{e.value, e.small, e.test} {
			if v < e.least || v > e.most {
				t.Errorf("%s: %d is outside %d…%d", e.name, v, e.least, e.most)
			}
		}
		if strings.HasPrefix(e.name, "cap_") && (e.small < e.value || e.test < e.value) {
			t.Errorf("%s is narrower where it is relaxed", e.name)
		}
	}
}
