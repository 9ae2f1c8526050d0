package keys

import (
	"errors"
	"fmt"
	"time"
)

const ( // our choice
	signingLife = 30 * day         // certificate of a signing key
	noteLife    = (365 + 30) * day // certificate of a note key: the network file that names it is handed out for a year

	// MaxSigningLife bounds what [Set.RenewSigning] grants: a signing key is
	// on a machine in the network.
	MaxSigningLife = 366 * day
)

// ErrSigningExpired says that the signing key's certificate has expired, and
// the identity key is not at hand to make another.
var ErrSigningExpired = errors.New("signing key expired")

// Renew brings the set to where it belongs at now: makes what is missing,
// replaces keys and certificates that are due, erases keys whose time is over.
// It reports whether a key or certificate that a descriptor shows has changed.
// It may be called at any time, as often as one likes; [Set.Next] says when to. After an error it has done what it could, and the next
// call does the rest. With the identity locked or elsewhere it takes up a newer
// signing key that somebody has put in the directory.
func (s *Set) Renew(now time.Time) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.show()
	if t := now.Unix(); t < 0 || t > maxTime-int64(10*365*day/time.Second) {
		return false, fmt.Errorf("renew keys: the clock shows the year %d", now.Year())
	}
	changed, err = s.renewSigning(now)
	errs := []error{err, s.renewNote(now)}
	more, err := s.links.renew(s.disk, s.usable(now), now)
	errs, changed = append(errs, err), changed || more
	if !s.authority {
		more, err = s.circuits.renew(s.disk, s.usable(now), now)
		errs, changed = append(errs, err), changed || more
	}
	if err := errors.Join(errs...); err != nil {
		return changed, fmt.Errorf("renew keys: %w", err)
	}
	return changed, nil
}

// usable returns the signing key if its certificate is valid, else nil.
func (s *Set) usable(now time.Time) *SigningKey {
	if !s.signing.valid(now) {
		return nil
	}
	return &SigningKey{s.signing.key}
}

const ( // our choice: how soon and how late Next asks for the next Renew
	minPause = time.Minute // after an error, or when only an operator can help
	maxPause = time.Hour   // in case the clock is set meanwhile
)

// Next returns when to call [Set.Renew] again, between a minute and an hour
// after now.
func (s *Set) Next(now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	signing := s.usable(now)
	at := earlier(s.signing.dueAt(now), s.links.next(signing, now))
	if s.authority {
		at = earlier(at, s.note.dueAt(now))
	} else {
		at = earlier(at, s.circuits.next(signing, now))
	}
	if soonest := now.Add(minPause); at.Before(soonest) {
		return soonest
	}
	return earlier(at, now.Add(maxPause))
}

// renewSigning replaces the signing key where it is due and the identity is at
// hand.
func (s *Set) renewSigning(now time.Time) (changed bool, err error) {
	if now.Before(s.signing.dueAt(now)) {
		return false, nil
	}
	if s.identity != nil {
		err := s.makeSigning(now, signingLife)
		return err == nil, err
	}
	adopted, err := s.adopt(fileSigning, s.signing)
	if adopted != nil {
		s.signing, changed = adopted, true
	}
	switch {
	case s.signing.valid(now):
	case s.signing != nil && now.Before(s.signing.cert.NotBefore): // renewing it would not help
		err = errors.Join(err, fmt.Errorf("signing key: %w: the clock shows %s", ErrNotYet, now.UTC().Format(time.DateOnly)))
	default:
		err = errors.Join(err, fmt.Errorf("%w: %w", ErrSigningExpired, s.offline()))
	}
	return changed, err
}

// adopt returns what was put in the directory in place of c, if it holds for
// longer, else nil.
func (s *Set) adopt(kind fileKind, c *certified) (*certified, error) {
	found, err := readCertified(s.disk, kind)
	switch {
	case err != nil:
		return nil, err
	case found == nil || c != nil && !found.cert.Expires.After(c.cert.Expires):
		return nil, nil
	case found.cert.Signer != s.id:
		return nil, fmt.Errorf("%s of another identity: %w", kind, ErrOtherSet)
	}
	return found, nil
}

// makeSigning makes a signing key. The old one is overwritten: what it signed
// carries its certificate along.
func (s *Set) makeSigning(now time.Time, life time.Duration) error {
	c := &certified{kind: fileSigning, key: newSigner()}
	c.cert = s.identity.CertifySigning(c.key.public(), backdate(now), now.Add(life))
	if err := c.write(s.disk); err != nil {
		return err
	}
	s.signing = c
	return nil
}

// renewNote makes the note key where it is missing, and certifies it again
// where that is due: the key itself stands in the network file and stays.
func (s *Set) renewNote(now time.Time) error {
	if !s.authority || now.Before(s.note.dueAt(now)) {
		return nil
	}
	if s.identity != nil {
		if s.note != nil {
			return s.makeNote(s.note.key, now)
		}
		return s.makeNote(newSigner(), now)
	}
	adopted, err := s.adopt(fileNote, s.note)
	if adopted != nil {
		s.note = adopted
	}
	if !s.note.valid(now) {
		err = errors.Join(err, fmt.Errorf("note key: %w: %w", ErrExpired, s.offline()))
	}
	return err
}

func (s *Set) makeNote(k signer, now time.Time) error {
	c := &certified{kind: fileNote, key: k}
	c.cert = s.identity.CertifyNote(k.public(), backdate(now), now.Add(noteLife))
	if err := c.write(s.disk); err != nil {
		return err
	}
	s.note = c
	return nil
}

// offline says why the identity key can't be used, nil if it can.
func (s *Set) offline() error {
	switch {
	case s.identity != nil:
		return nil
	case s.locked != nil:
		return ErrLocked
	}
	return ErrOffline
}

// Published notes that a descriptor with these keys has been accepted. From
// then on counts how long they serve, and how long the ones before them still
// answer. Keys that are not the set's, and repetitions, change nothing.
func (s *Set) Published(link LinkPublic, circuit CircuitPublic, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.show()
	err := errors.Join(s.links.publish(s.disk, link, now), s.circuits.publish(s.disk, circuit, now))
	if err != nil {
		return fmt.Errorf("keys published: %w", err)
	}
	return nil
}

// RenewSigning makes a new signing key now, whose certificate holds for life,
// at most [MaxSigningLife], and certifies the other keys with it. For an
// identity that is kept elsewhere this is done there, and the file signing.key
// carried over.
func (s *Set) RenewSigning(now time.Time, life time.Duration) error {
	if life < time.Minute || life > MaxSigningLife {
		return fmt.Errorf("signing key for %v: not between a minute and %v", life, MaxSigningLife)
	}
	return s.byHand(now, func() error { return s.makeSigning(now, life) })
}

// RenewLink makes a new link key now; the old one answers for one overlap more
// (an authority's for 30 days). An authority's new key takes a new network file.
func (s *Set) RenewLink(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.show()
	signing := s.usable(now)
	if signing == nil {
		return fmt.Errorf("renew link key: %w", ErrSigningExpired)
	}
	if len(s.links.entries) >= maxEntries {
		return fmt.Errorf("renew link key: %d keys already answer", maxEntries)
	}
	if err := s.links.add(s.disk, signing, now); err != nil {
		return fmt.Errorf("renew link key: %w", err)
	}
	return nil
}

// RenewNote makes a new note key now, for an authority. It takes a new network
// file.
func (s *Set) RenewNote(now time.Time) error {
	if !s.authority {
		return fmt.Errorf("renew note key: %w", ErrOtherSet)
	}
	return s.byHand(now, func() error { return s.makeNote(newSigner(), now) })
}

// byHand runs change, which needs the identity, and then renews.
func (s *Set) byHand(now time.Time, change func() error) error {
	err := func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		defer s.show()
		if err := s.offline(); err != nil {
			return err
		}
		return change()
	}()
	if err != nil {
		return fmt.Errorf("renew keys: %w", err)
	}
	_, err = s.Renew(now)
	return err
}
