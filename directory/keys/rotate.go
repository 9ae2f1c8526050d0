package keys

import (
	"errors"
	"io/fs"
	"slices"
	"time"
)

// renew brings the ring to where it belongs at now, and reports whether the key
// or the certificate that it shows has changed. What it could not write it
// tries again the next time. A nil s makes no key and no certificate.
func (r *ring[K]) renew(disk storage, s *SigningKey, now time.Time) (changed bool, err error) {
	errs := []error{r.retire(disk, now), r.heal(disk, now)}
	if s != nil && !now.Before(r.rotateAt()) {
		err := r.add(disk, s, now)
		changed = err == nil
		errs = append(errs, err)
	}
	if s != nil && !now.Before(r.recertifyAt(s, now)) {
		err := r.recertify(disk, s, now)
		changed = changed || err == nil
		errs = append(errs, err)
	}
	return changed, errors.Join(errs...)
}

// next returns when renew has something to do.
func (r *ring[K]) next(s *SigningKey, now time.Time) time.Time {
	at := earlier(r.rotateAt(), r.recertifyAt(s, now))
	for i := range r.entries {
		at = earlier(at, r.retireAt(i))
	}
	return at
}

// farFuture is later than every other time here.
var farFuture = time.Unix(maxTime, 0).UTC()

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// rotateAt returns when a new key is due. A key that was never published needs
// no successor: nobody has used it.
func (r *ring[K]) rotateAt() time.Time {
	switch {
	case len(r.entries) == 0:
		return time.Time{}
	case r.byHand || r.entries[0].published.IsZero():
		return farFuture
	}
	return r.entries[0].published.Add(r.life)
}

// add makes a key, certified, and puts it first once it is on disk.
func (r *ring[K]) add(disk storage, s *SigningKey, now time.Time) error {
	if r.pending == nil {
		r.pending = &entry[K]{key: r.generate()}
	}
	e := *r.pending
	e.created = wholeSecond(now)
	if len(r.entries) != 0 && !e.created.After(r.entries[0].created) {
		e.created = r.entries[0].created.Add(time.Second) // the newest, whatever the clock did
	}
	if r.byHand {
		e.published = wholeSecond(now) // the operator hands it out, nobody tells us
	}
	e.cert = r.certificate(&e, s, now)
	if err := r.write(disk, &e); err != nil {
		return err
	}
	r.pending = nil
	r.entries = slices.Insert(r.entries, 0, e)
	return nil
}

// recertifyAt returns when the newest key needs a certificate again: at once
// when the signing key is another, else when half of its time is over. The
// certificate of a key that is replaced by hand ends with it.
func (r *ring[K]) recertifyAt(s *SigningKey, now time.Time) time.Time {
	if len(r.entries) == 0 || s == nil {
		return farFuture
	}
	e := &r.entries[0]
	ends := r.expiry(e, now)
	switch {
	case !ends.After(now):
		return farFuture // overdue: only a new key helps
	case e.cert.Signer != s.public() || now.Before(e.cert.NotBefore):
		return time.Time{}
	case r.byHand:
		return farFuture
	}
	return e.cert.Expires.Add(-r.overlap)
}

func (r *ring[K]) recertify(disk storage, s *SigningKey, now time.Time) error {
	e := r.entries[0]
	e.cert = r.certificate(&e, s, now)
	if err := r.write(disk, &e); err != nil {
		return err
	}
	r.entries[0] = e
	return nil
}

func (r *ring[K]) certificate(e *entry[K], s *SigningKey, now time.Time) Certificate {
	return r.certify(s, e.key.public(), backdate(now), r.expiry(e, now))
}

// expiry returns when a certificate made now expires.
func (r *ring[K]) expiry(e *entry[K], now time.Time) time.Time {
	if r.byHand {
		return e.created.Add(r.life + r.overlap)
	}
	return now.Add(r.life + 2*r.overlap)
}

// heal mends times in the future, where the clock has been turned back: else
// nothing would happen until then.
func (r *ring[K]) heal(disk storage, now time.Time) error {
	var errs []error
	for i := range r.entries {
		e := &r.entries[i]
		if e.published.After(now) {
			e.published = wholeSecond(now)
			errs = append(errs, r.write(disk, e))
		}
	}
	return errors.Join(errs...)
}

// retireAt returns when the key at i is to be erased: one overlap after the
// publication of any key newer than it.
func (r *ring[K]) retireAt(i int) time.Time {
	at := farFuture
	for _, newer := range r.entries[:i] {
		if !newer.published.IsZero() {
			at = earlier(at, newer.published.Add(r.overlap))
		}
	}
	return at
}

// retire erases the keys whose time is over. They answer nothing from then on,
// even if the disk fails.
func (r *ring[K]) retire(disk storage, now time.Time) error {
	kept := make([]entry[K], 0, len(r.entries))
	for i, e := range r.entries {
		if now.Before(r.retireAt(i)) {
			kept = append(kept, e)
		} else {
			r.retired = append(r.retired, r.file(e.key.public()))
		}
	}
	r.entries = kept
	var errs []error
	r.retired = slices.DeleteFunc(r.retired, func(name string) bool {
		err := disk.erase(name)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		errs = append(errs, err)
		return err == nil
	})
	return errors.Join(errs...)
}

// publish notes that others have been told the key p.
func (r *ring[K]) publish(disk storage, p [32]byte, now time.Time) error {
	for i, e := range r.entries {
		if e.key.public() == p && e.published.IsZero() {
			e.published = wholeSecond(now)
			if err := r.write(disk, &e); err != nil {
				return err
			}
			r.entries[i] = e
		}
	}
	return nil
}

func wholeSecond(t time.Time) time.Time { return time.Unix(t.Unix(), 0).UTC() }

// backdate returns when a certificate made now begins: a little earlier, for
// verifiers whose clock is slow.
func backdate(now time.Time) time.Time {
	return time.Unix(max(0, now.Add(-clockSlack).Unix()), 0)
}

const clockSlack = time.Hour // our choice
