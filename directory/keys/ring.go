package keys

import (
	"cmp"
	"crypto/ecdh"
	"encoding/hex"
	"fmt"
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
	clamp(&rec.private)
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
