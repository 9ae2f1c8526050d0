package authority

import "tunic/directory"

// share gives the relays of c what the position weights let each carry.
func share(c *directory.Consensus) {
	for i := range c.Relays {
		r := &c.Relays[i]
		may := [...]bool{
			directory.AsGuard:  r.Flags.Has(directory.Guard),
			directory.AsMiddle: true,
			directory.AsExit:   !r.Ports.Empty() || !r.Ports6.Empty(),
		}
		for p := range r.Shares {
			if may[p] {
				r.Shares[p] = r.Weight * 1000 * c.Weights.Of(directory.Position(p), r.Flags) / directory.WeightScale
			}
		}
	}
}
