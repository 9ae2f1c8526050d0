package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tunic/directory"
	"tunic/directory/authority"
	"tunic/directory/directorytest"
)

// auditFiles writes a network, the votes of its authorities over some relays,
// and the consensus of them, as change leaves it, with all signatures.
func auditFiles(t *testing.T, change func(*directory.Consensus)) (args []string) {
	t.Helper()
	n, dir := directorytest.New(3), t.TempDir()
	write := func(name string, b []byte, err error) string {
		path := filepath.Join(dir, name)
		if err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	file, err := n.Encode()
	args = []string{"network", "audit", "--network", write("network.toml", file, err)}
	relays := n.Relays(6)
	var votes []*directory.Vote
	for i := range n.Keys {
		v := n.Vote(i, 0, relays)
		doc, err := v.Sign(n.SigningKey(i))
		args = append(args, "--vote", write(n.Authorities[i].Name, doc, err))
		votes = append(votes, v)
	}
	r, err := authority.Tally(n.Network, n.Round(0), votes)
	if err != nil {
		t.Fatal(err)
	}
	change(r.Consensus)
	b, _ := n.Sign(t, r.Consensus, nil)
	return append(args, "--consensus", write("consensus", b.Raw(), nil))
}

func TestAuditOfFiles(t *testing.T) {
	out, err := call(t.Context(), auditFiles(t, func(*directory.Consensus) {})...)
	if err != nil || !strings.Contains(out, "computed again from its votes: the same, byte for byte") {
		t.Errorf("%v\n%s", err, out)
	}
	lie := func(c *directory.Consensus) {
		c.Relays[2].Shares[directory.AsGuard] *= 7
		c.Relays[3].Age = 4000
	}
	out, err = call(t.Context(), auditFiles(t, lie)...)
	if err == nil || !strings.Contains(err.Error(), "departs from the rules in 2 places") ||
		!strings.Contains(out, "says: age 4000; the rules give: nothing") || !strings.Contains(out, "says: shares ") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = call(t.Context(), append(auditFiles(t, lie), "--json")...)
	var r auditReport
	if e := json.Unmarshal([]byte(out), &r); err == nil || e != nil || len(r.Departures) != 2 || len(r.Votes) != 3 || r.Relays != 6 {
		t.Errorf("%v, %v\n%s", err, e, out)
	}
}

func TestAuditOfOtherVotes(t *testing.T) {
	args := auditFiles(t, func(*directory.Consensus) {})
	if _, err := call(t.Context(), append(args[:4:4], args[6:]...)...); err == nil || !strings.Contains(err.Error(), "not the votes that the consensus names") {
		t.Errorf("without one of its votes: %v", err)
	}
	other := auditFiles(t, func(*directory.Consensus) {})
	if _, err := call(t.Context(), append(other[:4:4], args[4:]...)...); err == nil {
		t.Error("another network's documents are audited")
	}
	if _, err := call(t.Context(), args[:6]...); err == nil || !strings.Contains(err.Error(), "--consensus") {
		t.Errorf("votes without a consensus: %v", err)
	}
}
