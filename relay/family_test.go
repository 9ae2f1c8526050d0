package relay

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

func TestFamiliesOfADescriptor(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	beside, given, gone := keys.GenerateFamily(), keys.GenerateFamily(), keys.GenerateFamily()
	if err := os.WriteFile(filepath.Join(dir, "family.key"), keys.EncodeFamily(beside), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := keys.LoadOrCreate(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	id := set.ID()
	r := &Relay{id: id, log: slog.New(slog.DiscardHandler), cfg: Config{Keys: set, Families: []keys.Certificate{
		given.CertifyMember(id, now, now.Add(365*24*time.Hour)),
		given.CertifyMember(id, now, now.Add(364*24*time.Hour)), // a second one of the same family
		gone.CertifyMember(id, now, now.Add(time.Hour)),
		gone.CertifyMember(keys.RelayID{1}, now, now.Add(365*24*time.Hour)), // somebody else's
	}}}
	first := r.families(now)
	if len(first) != 3 {
		t.Fatalf("%d families, want 3: that of the key, the given one once, and the one that runs out", len(first))
	}
	for i := 1; i < len(first); i++ {
		if directory.CompareID(first[i-1].Signer, first[i].Signer) >= 0 {
			t.Error("families are not in the order of a descriptor")
		}
	}
	if again := r.families(now.Add(30 * time.Minute)); !slices.Equal(first, again) {
		t.Error("without a reason the certificates change, and the descriptor with them")
	}
	// Weeks later the certificate by the key is a fresh one, the expired one is gone.
	later := now.Add(29 * 24 * time.Hour)
	list := r.families(later)
	if len(list) != 2 {
		t.Fatalf("%d families after the end of one, want 2", len(list))
	}
	for _, c := range list {
		if _, err := c.FamilyMember(id, later.Add(18*time.Hour)); err != nil {
			t.Errorf("a certificate runs out before its descriptor does: %v", err)
		}
	}
}
