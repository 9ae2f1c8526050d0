package authority

import (
	"bytes"
	"testing"

	"tunic/directory"
	"tunic/directory/directorytest"
)

// FuzzSplitEnvelopes checks that what is accepted is joined to the same bytes.
func FuzzSplitEnvelopes(f *testing.F) {
	n := directorytest.New(3)
	var envs []*directory.Envelope
	for i := range 3 {
		envs = append(envs, newVote(f, n, i, 0).envelope(f, n, 0, i))
		doc, err := joinEnvelopes(envs)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		envs, err := splitEnvelopes(in, n.Network)
		if err != nil {
			return
		}
		if out, err := joinEnvelopes(envs); err != nil || !bytes.Equal(out, in) {
			t.Fatalf("accepted %q, joined as %q (%v)", in, out, err)
		}
	})
}

// FuzzParsePeriod checks that a period has one form.
func FuzzParsePeriod(f *testing.F) {
	f.Add("1767355200123")
	f.Add("0")
	f.Fuzz(func(t *testing.T, in string) {
		if at, err := parsePeriod(in); err == nil && periodPath("", at) != in {
			t.Fatalf("accepted %q, written as %q", in, periodPath("", at))
		}
	})
}
