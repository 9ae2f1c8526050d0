package directorytest

import (
	"slices"
	"testing"

	"tunic/directory"
	"tunic/directory/keys"
)

// Relays returns consensus entries of that many new relays, ascending by
// identity, of weight 1000 and with all flags but Exit; each third is an exit
// of ports 80 and 443.
func (t *Network) Relays(count int) []directory.Relay {
	relays := make([]directory.Relay, count)
	for i := range relays {
		r := t.NewRelay(i, Epoch).Descriptor.Relay()
		r.Flags = directory.AllFlags &^ directory.Exit
		r.Weight = 1000
		if i%3 == 0 {
			r.Flags |= directory.Exit
			r.Ports, _ = directory.ParsePortSummary("80,443")
		}
		relays[i] = r
	}
	slices.SortFunc(relays, func(a, b directory.Relay) int { return directory.CompareID(a.ID, b.ID) })
	return relays
}

// Consensus returns a consensus of the i-th round. It gives relays their shares.
func (t *Network) Consensus(i int64, relays []directory.Relay) *directory.Consensus {
	r := t.Round(i)
	Share(relays)
	return &directory.Consensus{
		Method:  2,
		Network: t.Name, NetworkID: t.Digest(),
		ValidAfter: r.ValidAfter, FreshUntil: r.FreshUntil, ValidUntil: r.ValidUntil,
		Params:  []directory.Param{{Name: "example", Value: -1}},
		Weights: directory.WeightsOf(relays),
		Relays:  relays,
	}
}

// Share gives relays shares without ages and caps: of their weight what the
// position weights let each class of relays carry. Guards have the flag, exits
// ports; all that run are middles.
func Share(relays []directory.Relay) {
	weights := directory.WeightsOf(relays)
	for i := range relays {
		r := &relays[i]
		may := [...]bool{
			directory.AsGuard:  r.Flags.Has(directory.Guard),
			directory.AsMiddle: true,
			directory.AsExit:   !r.Ports.Empty() || !r.Ports6.Empty(),
		}
		r.Shares = directory.Shares{}
		for p := range r.Shares {
			if may[p] && r.Flags.Has(directory.Running|directory.Valid) {
				r.Shares[p] = r.Weight * 1000 * weights.Of(directory.Position(p), r.Flags) / directory.WeightScale
			}
		}
	}
}

// Sign returns c, behind h (nil: the first), as a bundle signed by the
// authorities of the given indexes (none given: all), and the history that it
// becomes. It sets c.Previous.
func (t *Network) Sign(tb testing.TB, c *directory.Consensus, h *directory.History, by ...int) (*directory.Bundle, *directory.History) {
	tb.Helper()
	s, doc, next := t.Endorse(tb, c, h, by...)
	b, err := directory.NewBundle(s, doc, t.Network)
	if err != nil {
		tb.Fatal(err)
	}
	return b, next
}

// Endorse is Sign without the majority that a bundle needs.
func (t *Network) Endorse(tb testing.TB, c *directory.Consensus, h *directory.History, by ...int) (*directory.SignedCheckpoint, []byte, *directory.History) {
	tb.Helper()
	if h != nil {
		c.Previous = h.Signed.Checkpoint.Digest
	}
	doc, err := c.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	cp, peaks, err := h.Next(t.Network, c.ValidAfter, doc)
	if err != nil {
		tb.Fatal(err)
	}
	s := &directory.SignedCheckpoint{Checkpoint: *cp}
	for i, a := range t.Keys {
		if len(by) > 0 && !slices.Contains(by, i) {
			continue
		}
		if err := s.Sign(a.NoteCert, a.Note); err != nil {
			tb.Fatal(err)
		}
	}
	return s, doc, &directory.History{Signed: *s, Peaks: peaks}
}

// Vote returns an authority's vote for the i-th round over the relays' entries,
// unsigned.
func (t *Network) Vote(author int, i int64, relays []directory.Relay) *directory.Vote {
	r, a := t.Round(i), t.Keys[author]
	v := &directory.Vote{
		Network: t.Digest(), Author: a.Identity.Public(), Signing: a.SigningCert,
		ValidAfter: r.ValidAfter, Published: r.VotesLeave,
		Methods: directory.VersionsOf(2), Known: directory.AllFlags,
	}
	for _, e := range relays {
		e.Shares, e.Voucher = directory.Shares{}, directory.Digest{} // which no vote carries
		v.Entries = append(v.Entries, directory.VoteEntry{
			Relay: e, Descriptor: directory.DigestOf(e.ID[:]), Published: Epoch,
		})
	}
	return v
}

// SigningKey returns the key that signs an authority's votes.
func (t *Network) SigningKey(author int) *keys.SigningKey { return t.Keys[author].Signing }
