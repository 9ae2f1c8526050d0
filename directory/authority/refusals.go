package authority

import (
	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// Refusals returns by which rule of admission each relay of a vote is refused,
// "" where it is admitted. It goes by the vote alone: by the parameters that its
// author votes for, the random value that it holds and the number of relays that
// run in it. So anybody can recompute it.
func Refusals(n *directory.Network, v *directory.Vote) []string {
	running := 0
	relays := make([]admission.Relay, len(v.Entries))
	for i := range v.Entries {
		relays[i] = admit(&v.Entries[i].Relay, dayNumber(v.ValidAfter)+1) // who was never listed comes last
		if relays[i].Flags.Has(directory.Running) {
			running++
		}
	}
	relaxed := rules.Relaxed(n, v.Params, running, v.ValidAfter)
	return admission.Refusals(relays, rulesAt(n, v.Params, relaxed, running, v.ValidAfter), v.Draw.Value)
}

// refuses notes whom this authority's newest vote refuses.
func (g *registry) refuses(v *directory.Vote) {
	refused := make(map[keys.RelayID]string)
	for i := range v.Entries {
		if e := &v.Entries[i]; e.Refused != "" {
			refused[e.ID] = e.Refused
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused = refused
}

// keepOut says in a vote whom the rules of admission refuse; all others are
// Valid.
func keepOut(n *directory.Network, v *directory.Vote) {
	for i, rule := range Refusals(n, v) {
		e := &v.Entries[i]
		e.Refused = rule
		if rule != "" {
			e.Flags &^= directory.Valid
		} else {
			e.Flags |= directory.Valid
		}
	}
}
