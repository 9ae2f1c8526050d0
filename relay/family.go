package relay

import (
	"log/slog"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// renewMember is how long before its end the certificate by a family's key that
// lies beside the relay's keys is made anew: our choice, a third of its life.
const renewMember = 10 * 24 * time.Hour

// families returns the certificates of the relay's families for a descriptor
// made at now: those of the configuration, without what has run out, and one by
// the family's key where that lies beside the relay's. It is called by the
// goroutine of keepPublished alone.
func (r *Relay) families(now time.Time) []keys.Certificate {
	if now.Add(renewMember).After(r.member.Expires) {
		if c, ok := r.cfg.Keys.Family(now); ok {
			r.member = c
		}
	}
	all := make([]keys.Certificate, 0, len(r.cfg.Families)+1)
	for _, c := range append(slices.Clone(r.cfg.Families), r.member) {
		if c == (keys.Certificate{}) {
			continue
		}
		if _, err := c.FamilyMember(r.id, now); err != nil {
			r.log.Warn("family left out of the descriptor", slog.Any("error", err))
			continue
		}
		all = append(all, c)
	}
	bySigner := func(a, b keys.Certificate) int { return directory.CompareID(a.Signer, b.Signer) }
	slices.SortStableFunc(all, bySigner)
	all = slices.CompactFunc(all, func(a, b keys.Certificate) bool { return a.Signer == b.Signer })
	if len(all) > directory.MaxFamilies {
		r.log.Warn("too many families", slog.Int("most", directory.MaxFamilies))
		all = all[:directory.MaxFamilies]
	}
	return all
}
