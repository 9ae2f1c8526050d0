package authority

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// notes a finding against whoever stands for a relay that came into quarantine:
// its families, and the relay itself where somebody vouched for it.
func addFindings(findings map[directory.Digest]int, r *directory.Relay, today int) {
	for _, f := range r.Family {
		findings[f] = max(findings[f], today)
	}
	if !r.Voucher.IsZero() {
		id := directory.Digest(r.ID)
		findings[id] = max(findings[id], today)
	}
}

// listFindings returns the latest findings as a vote carries them, and forgets
// those that are older than freeze days or too many.
func listFindings(findings map[directory.Digest]int, today, freeze int) []directory.Finding {
	maps.DeleteFunc(findings, func(_ directory.Digest, day int) bool { return today-day > freeze })
	list := make([]directory.Finding, 0, len(findings))
	for against, day := range findings {
		list = append(list, directory.Finding{Against: against, Day: time.Unix(int64(day)*24*60*60, 0).UTC()})
	}
	slices.SortFunc(list, func(a, b directory.Finding) int {
		return cmp.Or(b.Day.Compare(a.Day), bytes.Compare(a.Against[:], b.Against[:]))
	})
	if len(list) > directory.MaxFindings {
		for _, f := range list[directory.MaxFindings:] {
			delete(findings, f.Against)
		}
		list = list[:directory.MaxFindings]
	}
	slices.SortFunc(list, func(a, b directory.Finding) int { return bytes.Compare(a.Against[:], b.Against[:]) })
	return list
}

// entered returns the relays of c that came into quarantine since before.
func entered(before map[keys.RelayID]held, c *directory.Consensus) (list []*directory.Relay) {
	for i := range c.Relays {
		r := &c.Relays[i]
		if _, was := before[r.ID]; r.Quarantine.Code != "" && !was {
			list = append(list, r)
		}
	}
	return list
}
