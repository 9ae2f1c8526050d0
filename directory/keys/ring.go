package keys

import (
	"cmp"
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// A rotation says how long the keys of one kind serve.
type rotation struct {
	kind fileKind
	// life is how long after its publication a key gets a successor.
	life time.Duration
	// overlap is how long after its successor's publication a key still
	// answers, before it is erased.
	overlap time.Duration
	// byHand: only an operator replaces the key, since others were handed it.
	byHand bool
}

const day = 24 * time.Hour

// Our choice. Clients accept a consensus for 27 periods (docs/protocol.md,
// "Consensus"): with periods of an hour two days of overlap serve them all.
var (
	circuitRotation       = rotation{kind: fileCircuit, life: 7 * day, overlap: 2 * day}
	linkRotation          = rotation{kind: fileLink, life: 180 * day, overlap: 7 * day}
	authorityLinkRotation = rotation{kind: fileLink, life: 365 * day, overlap: 30 * day, byHand: true}
)

// certLife is how long a certificate for such a key holds.
func (r rotation) certLife() time.Duration { return r.life + r.overlap }

// agreementKey is *LinkKey or *CircuitKey.
type agreementKey interface {
	comparable
	ECDH() *ecdh.PrivateKey
	public() [32]byte
}

// An entry is one key of a ring.
type entry[K agreementKey] struct {
	key       K
	created   time.Time
	published time.Time // zero: never
	cert      Certificate
}

// A ring is the keys of one kind: the newest, and those that still answer.
type ring[K agreementKey] struct {
	rotation
	prefix   string // of file names
	generate func() K
	parse    func(*[32]byte) K
	certify  func(s *SigningKey, public [32]byte, notBefore, expires time.Time) Certificate

	entries []entry[K] // newest first
	pending *entry[K]  // made, but perhaps not on disk: the next try writes it again
	retired []string   // files of keys that no longer answer, still to be erased
}

func newLinks(r rotation) ring[*LinkKey] {
	return ring[*LinkKey]{
		rotation: r,
		prefix:   "link-",
		generate: GenerateLink,
		parse:    func(b *[32]byte) *LinkKey { k := new(LinkKey); k.set(b); return k },
		certify: func(s *SigningKey, p [32]byte, from, until time.Time) Certificate {
			return s.CertifyLink(p, from, until)
		},
	}
}

func newCircuits(r rotation) ring[*CircuitKey] {
	return ring[*CircuitKey]{
		rotation: r,
		prefix:   "circuit-",
		generate: GenerateCircuit,
		parse: func(b *[32]byte) *CircuitKey {
			k := new(CircuitKey)
			k.set(b)
			k.id = k.Public().ID()
			return k
		},
		certify: func(s *SigningKey, p [32]byte, from, until time.Time) Certificate {
			return s.CertifyCircuit(p, from, until)
		},
	}
}

// file returns the name of the file that keeps the key.
func (r *ring[K]) file(public [32]byte) string {
	return r.prefix + hex.EncodeToString(public[:8]) + ".key"
}

// maxEntries is our choice: beyond it no key is made by hand. By themselves a
// ring has at most a new key, a published one and one that retires.
const maxEntries = 4

// load reads the ring from disk.
func (r *ring[K]) load(disk storage, names []string) error {
	for _, name := range names {
		if !strings.HasPrefix(name, r.prefix) || !strings.HasSuffix(name, ".key") {
			continue
		}
		e, err := r.read(disk, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.entries = append(r.entries, e)
	}
	r.sort()
	return nil
}

func (r *ring[K]) read(disk storage, name string) (e entry[K], err error) {
	b, err := disk.read(name)
	if err != nil {
		return e, err
	}
	defer clear(b)
	rec, err := parseRecord(b, r.kind)
	if err != nil {
		return e, err
	}
	defer rec.wipe()
	if r.file(rec.public) != name {
		return e, fmt.Errorf("key file: its key belongs in %s: %w", r.file(rec.public), ErrMalformed)
	}
	if err := rec.cert.verifySignature(); err != nil {
		return e, err
	}
	return entry[K]{key: r.parse(&rec.private), created: rec.created, published: rec.published, cert: rec.cert}, nil
}

func (r *ring[K]) write(disk storage, e *entry[K]) error {
	scalar := e.key.ECDH().Bytes()
	defer clear(scalar)
	rec := record{kind: r.kind, public: e.key.public(), private: [32]byte(scalar), created: e.created, published: e.published, cert: e.cert}
	defer rec.wipe()
	b := rec.encode()
	defer clear(b)
	return disk.write(r.file(rec.public), b)
}

// sort puts the newest first; of two made in one second it must only be sure
// to choose the same again.
func (r *ring[K]) sort() {
	slices.SortFunc(r.entries, func(a, b entry[K]) int {
		pa, pb := a.key.public(), b.key.public()
		return cmp.Or(b.created.Compare(a.created), slices.Compare(pa[:], pb[:]))
	})
}

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
	return e.cert.Expires.Add(-r.certLife() / 2)
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
		return e.created.Add(r.certLife())
	}
	return now.Add(r.certLife())
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
