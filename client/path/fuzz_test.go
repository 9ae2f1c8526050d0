package path

import (
	"reflect"
	"testing"
)

func FuzzParseState(f *testing.F) {
	f.Add([]byte(`{"version":1,"network":"test","guards":[]}`))
	f.Add(versionOne)
	g := NewGuards("test")
	at := stampOf(start)
	g.sample = []*guard{{id: idOf("a"), expires: at, node: -1}, {id: idOf("b"), expires: at, confirmed: at, unlisted: at, node: -1}}
	g.filled, g.draws = dayOf(start), []opening{{dayOf(start), true}}
	g.second = []*second{{idOf("c"), at, -1}}
	b, err := g.State().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := ParseState(in)
		if err != nil {
			return
		}
		out, err := s.Encode()
		if err != nil {
			return // a year that JSON cannot write
		}
		again, err := ParseState(out)
		if err != nil {
			t.Fatalf("accepted %q, wrote %q: %v", in, out, err)
		}
		g, err := RestoreGuards(again, s.Network, start)
		if err != nil {
			t.Fatal(err)
		}
		if len(g.sample) != len(s.Guards) || !reflect.DeepEqual(ids(g.State()), ids(s)) {
			t.Fatalf("accepted %v, restored %v", s, g.State())
		}
	})
}

func ids(s State) (list []string) {
	for _, m := range s.Guards {
		list = append(list, m.ID.String())
	}
	return list
}
