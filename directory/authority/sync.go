package authority

import (
	"context"
	"errors"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/mirror"
)

// syncDescriptors fetches the descriptors that others voted about and that are
// missing here, each from who voted, until the next votes leave.
func (a *Authority) syncDescriptors(ctx context.Context, p *period) {
	a.mu.Lock()
	votes := p.votes
	p.votes = nil
	a.mu.Unlock()
	a.others(ctx, a.over(p), func(ctx context.Context, id keys.RelayID) {
		for _, v := range votes {
			if v.Author == id {
				a.syncFrom(ctx, v)
			}
		}
	})
}

func (a *Authority) syncFrom(ctx context.Context, v *directory.Vote) {
	failures := 0
	for i := range v.Entries {
		e := &v.Entries[i]
		if failures >= maxSyncErrors || ctx.Err() != nil {
			return
		}
		if !a.reg.lacks(e) {
			continue
		}
		raw, err := a.peers.get(ctx, v.Author, mirror.PathOf+e.ID.String(), directory.MaxDescriptor)
		if err == nil {
			_, err = a.admit(raw, time.Now())
		}
		switch {
		case errors.Is(err, errTooFast):
			return // the rest in the next period
		case err != nil:
			failures++
		default:
			failures = 0
		}
	}
}

// admit takes a descriptor, from its relay or from another authority.
func (a *Authority) admit(raw []byte, now time.Time) (verdict, error) {
	d, err := directory.ParseDescriptor(raw, a.network, now)
	if err != nil {
		return verdict{}, err
	}
	v, err := a.reg.admit(d, raw, now)
	if err == nil {
		a.testsDue()
	}
	if err == nil && !v.known {
		a.saveDue()
	}
	return v, err
}
