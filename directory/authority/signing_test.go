package authority

import (
	"errors"
	"slices"
	"testing"

	"tunic/directory"
	"tunic/directory/directorytest"
)

// endorsed returns the checkpoint of a consensus of round 0, told apart by
// weight, with the signatures of the given authorities.
func endorsed(t *testing.T, n *directorytest.Network, relays []directory.Relay, by ...int) (*directory.SignedCheckpoint, []byte) {
	t.Helper()
	sc, doc, _ := n.Endorse(t, n.Consensus(0, relays), nil, by...)
	return sc, doc
}

func TestConsensusNeedsAMajorityOfDistinctAuthorities(t *testing.T) {
	n := directorytest.New(5)
	g := newSigning(n.Network, n.Round(0))
	for i, want := range []bool{false, false, true, true} {
		sc, _ := endorsed(t, n, nil, i)
		for range 3 { // again and again counts once
			if _, err := g.receive(n.Authorities[4].ID, sc); err != nil {
				t.Fatal(err)
			}
		}
		twice := *sc
		twice.Signatures = append(slices.Clone(sc.Signatures), sc.Signatures...)
		if _, err := g.receive(n.Authorities[3].ID, &twice); err != nil {
			t.Fatal(err)
		}
		if got := g.winner() != nil; got != want {
			t.Errorf("signed by %d of 5: %v", i+1, got)
		}
	}
	if got := g.missing(); !slices.Equal(got, g.missing()) || len(got) != 1 || got[0] != n.Authorities[4].ID {
		t.Errorf("missing: %v", got)
	}
}

func TestSignaturesUnderAnotherCheckpointDoNotCount(t *testing.T) {
	n := directorytest.New(3)
	g := newSigning(n.Network, n.Round(0))
	mine, doc := endorsed(t, n, nil, 0)
	if err := g.sign(mine, doc, directory.Log{}); err != nil {
		t.Fatal(err)
	}
	other, _ := endorsed(t, n, n.Relays(1), 1)
	if _, err := g.receive(n.Authorities[1].ID, other); err != nil || g.winner() != nil {
		t.Errorf("one signature under each of two: winner %v (%v)", g.winner(), err)
	}
	fork, _ := endorsed(t, n, nil, 1)
	if _, err := g.receive(n.Authorities[1].ID, fork); err != nil {
		t.Fatal(err)
	}
	if st := g.winner(); st == nil || st != g.own {
		t.Error("two signatures under the own checkpoint are no majority")
	}
	if got := g.forks(); len(got) != 1 || got[0] != n.Authorities[1].ID {
		t.Errorf("who signed both: %v", got)
	}
	third, _ := endorsed(t, n, n.Relays(1), 1)
	if _, err := g.receive(n.Authorities[1].ID, third); !errors.Is(err, errManyNotes) {
		t.Errorf("a third checkpoint from one sender: %v", err)
	}
}

func TestMajorityWithoutThisAuthorityWins(t *testing.T) {
	n := directorytest.New(3)
	g := newSigning(n.Network, n.Round(0))
	mine, doc := endorsed(t, n, n.Relays(1), 0)
	if err := g.sign(mine, doc, directory.Log{}); err != nil {
		t.Fatal(err)
	}
	theirs, _ := endorsed(t, n, nil, 1, 2)
	if _, err := g.receive(n.Authorities[1].ID, theirs); err != nil {
		t.Fatal(err)
	}
	st := g.winner()
	if st == nil || st == g.own || st.doc != nil {
		t.Fatalf("winner %+v", st)
	}
	if h := g.history(st); h == nil || h.Verify(n.Network) != nil {
		t.Error("the log that both name is known, and its history is not")
	}
}

func TestSignaturesThatAreRefused(t *testing.T) {
	n := directorytest.New(3)
	g := newSigning(n.Network, n.Round(0))
	later, _, _ := n.Endorse(t, n.Consensus(1, nil), nil, 1)
	forged, _ := endorsed(t, n, nil, 1)
	forged.Signatures = slices.Clone(forged.Signatures)
	forged.Signatures[0].Blob = slices.Clone(forged.Signatures[0].Blob)
	forged.Signatures[0].Blob[40] ^= 1
	elsewhere := directorytest.NewWith(3, directory.Network{Name: "elsewhere", Timing: n.Timing})
	foreign, _ := endorsed(t, elsewhere, nil, 1)
	good, _ := endorsed(t, n, nil, 1)
	for name, tt := range map[string]struct {
		from int
		sc   *directory.SignedCheckpoint
		want error
	}{
		"another period":  {1, later, directory.ErrOtherPeriod},
		"another network": {1, foreign, directory.ErrOtherNetwork},
		"wrong signature": {1, forged, errNotSigned},
	} {
		if _, err := g.receive(n.Authorities[tt.from].ID, tt.sc); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := g.receive(elsewhere.Authorities[0].ID, good); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("from a stranger: %v", err)
	}
	if len(g.notes) != 0 {
		t.Errorf("%d checkpoints kept of those", len(g.notes))
	}
}
