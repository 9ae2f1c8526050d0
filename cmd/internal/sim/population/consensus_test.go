package population_test

import (
	"os"
	"path/filepath"
	"testing"

	"tunic/cmd/internal/sim/population"
	"tunic/directory"
	"tunic/directory/directorytest"
)

// A consensus is read as it is served, with its signatures, and without them.
func TestReadConsensus(t *testing.T) {
	net := directorytest.New(3)
	relays := net.Relays(40)
	relays[0].Flags &^= directory.Running
	relays[1].Age, relays[1].AS = 77, 64500
	b, _ := net.Sign(t, net.Consensus(0, relays), nil)
	for name, doc := range map[string][]byte{"alone": b.Document(), "signed": b.Raw()} {
		file := filepath.Join(t.TempDir(), "consensus")
		if err := os.WriteFile(file, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := population.Read(file, population.Options{Seed: 1})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(p.Relays) != 39 {
			t.Errorf("%s: %d relays, want 39", name, len(p.Relays))
		}
		found := false
		for i := range p.Relays {
			if r := &p.Relays[i]; r.ID == relays[1].ID {
				found = r.Age == 77 && r.AS == 64500 && r.Weight == relays[1].Weight
			}
		}
		if !found {
			t.Errorf("%s: a relay's age and autonomous system are not the consensus's", name)
		}
	}
}
