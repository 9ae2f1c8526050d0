package authority

import (
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
)

func TestPeriodsInPaths(t *testing.T) {
	at := time.UnixMilli(1_767_355_200_123).UTC()
	const want = "/tunic/1/vote/1767355200123"
	if got := periodPath(pathVote, at); got != want {
		t.Errorf("path %s, want %s", got, want)
	}
	if got, err := parsePeriod("1767355200123"); err != nil || !got.Equal(at) {
		t.Errorf("parsed as %v (%v)", got, err)
	}
	for _, bad := range []string{"", "-1", "+1", "01", "1.5", "x", "99999999999999999999", "140737488355328"} {
		if _, err := parsePeriod(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestEnvelopesAreJoinedAndSplit(t *testing.T) {
	n := directorytest.New(3)
	var envs []*directory.Envelope
	for i := range 3 {
		envs = append(envs, newVote(t, n, i, 0).envelope(t, n, 0, 1, 2))
	}
	doc, err := joinEnvelopes(envs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := splitEnvelopes(doc, n.Network)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d envelopes (%v)", len(got), err)
	}
	for i := range got {
		if got[i].Digest() != envs[i].Digest() || len(got[i].Signatures) != 3 || got[i].Vote != nil {
			t.Errorf("envelope %d differs", i)
		}
	}
	if got, err := splitEnvelopes(nil, n.Network); err != nil || len(got) != 0 {
		t.Errorf("nothing: %d envelopes (%v)", len(got), err)
	}
	var many []byte
	for range 7 {
		one, _ := joinEnvelopes(envs[:1])
		many = append(many, one...)
	}
	for name, bad := range map[string][]byte{
		"more than two of each": many,
		"cut":                   doc[:len(doc)-1],
		"bytes before":          append([]byte("x"), doc...),
		"bytes behind":          append(doc[:len(doc):len(doc)], "x\n"...),
	} {
		if _, err := splitEnvelopes(bad, n.Network); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	full, err := envs[0].Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := splitEnvelopes(full, n.Network); err == nil {
		t.Error("with a vote inside: accepted")
	}
}
