package relay

import (
	"context"
	"log/slog"
	"time"

	"tunic/directory/keys"
)

const ( // our choice
	minKeyWait = time.Second
	maxKeyWait = time.Hour // a clock that was set forward is noticed by then
	keyRetry   = time.Minute
	warnBefore = 7 * 24 * time.Hour // the operator of an offline identity is told
	warnEvery  = 24 * time.Hour
)

// keepKeys renews the relay's keys when they are due, until ctx ends.
func (r *Relay) keepKeys(ctx context.Context) {
	var warned time.Time
	for {
		now := time.Now()
		changed, err := r.cfg.Keys.Renew(now)
		pause := maxKeyWait
		if err != nil {
			r.log.Error("keys not renewed", slog.Any("error", err))
			pause = keyRetry
		}
		if changed {
			r.publish.poke()
		}
		if end, soon := runsOut(r.cfg.Keys, now); soon && now.Sub(warned) >= warnEvery {
			warned = now
			r.log.Warn("the signing key runs out; renew it where the identity key is (tunic keys renew)", slog.Time("expires", end))
		}
		if !sleep(ctx, min(pause, max(minKeyWait, r.cfg.Keys.Next(now).Sub(now)))) {
			return
		}
	}
}

// runsOut returns when the signing key runs out, if that is soon and its identity
// is not here to renew it.
func runsOut(set *keys.Set, now time.Time) (end time.Time, soon bool) {
	key, cert := set.Signing()
	if key == nil || set.Identity() == keys.IdentityHere || cert.Expires.Sub(now) > warnBefore {
		return time.Time{}, false
	}
	return cert.Expires, true
}
