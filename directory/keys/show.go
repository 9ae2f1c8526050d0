package keys

import (
	"fmt"
	"time"
)

// IdentityState says where a set's identity key is.
type IdentityState uint8

// Where it may be.
const (
	IdentityHere      IdentityState = iota // in the directory, ready for use
	IdentityLocked                         // in the directory, under a passphrase
	IdentityElsewhere                      // not in the directory
)

func (i IdentityState) String() string {
	switch i {
	case IdentityHere:
		return "here"
	case IdentityLocked:
		return "locked by a passphrase"
	case IdentityElsewhere:
		return "kept elsewhere"
	}
	return fmt.Sprintf("state %d", uint8(i))
}

func (s *Set) identityState() IdentityState {
	switch {
	case s.identity != nil:
		return IdentityHere
	case s.locked != nil:
		return IdentityLocked
	}
	return IdentityElsewhere
}

// ID returns the identity.
func (s *Set) ID() RelayID { return s.id }

// Authority reports whether the set is an authority's.
func (s *Set) Authority() bool { return s.authority }

// Identity returns where the identity key is.
func (s *Set) Identity() IdentityState { return s.now.Load().identity }

// Signing returns the signing key and its certificate; nil if the set has none.
func (s *Set) Signing() (*SigningKey, Certificate) {
	v := s.now.Load()
	return v.signing, v.signingCert
}

// Proof returns what a link proves the identity with; nil if the set has no
// signing key.
func (s *Set) Proof() *Proof {
	key, cert := s.Signing()
	if key == nil {
		return nil
	}
	return &Proof{Certificate: cert, Signing: key}
}

// Link returns the newest link key and its certificate: what a descriptor or a
// network file shows. The zero key says that there is none.
func (s *Set) Link() (LinkPublic, Certificate) { return newest[LinkPublic](s.now.Load().links) }

// Circuit returns the newest circuit key and its certificate: what a descriptor
// shows. The zero key says that there is none, as in an authority's set.
func (s *Set) Circuit() (CircuitPublic, Certificate) {
	return newest[CircuitPublic](s.now.Load().circuits)
}

func newest[P ~[32]byte, K agreementKey](entries []entry[K]) (p P, c Certificate) {
	if len(entries) == 0 {
		return p, c
	}
	return P(entries[0].key.public()), entries[0].cert
}

// LinkKeys returns the link keys that answer, the newest first.
func (s *Set) LinkKeys() []*LinkKey {
	var all []*LinkKey
	for _, e := range s.now.Load().links {
		all = append(all, e.key)
	}
	return all
}

// CircuitKeys returns the circuit keys that answer, the newest first.
func (s *Set) CircuitKeys() []*CircuitKey {
	var all []*CircuitKey
	for _, e := range s.now.Load().circuits {
		all = append(all, e.key)
	}
	return all
}

// CircuitKey returns the circuit key with the given id, nil if none that
// answers has it. It does not allocate.
func (s *Set) CircuitKey(id CircuitKeyID) *CircuitKey {
	for _, e := range s.now.Load().circuits {
		if e.key.id == id {
			return e.key
		}
	}
	return nil
}

// Note returns an authority's note key and its certificate; nil for a relay.
func (s *Set) Note() (*NoteKey, Certificate) {
	v := s.now.Load()
	return v.note, v.noteCert
}

// Unlock opens an identity that is under a passphrase, for as long as the Set
// lives. The error is [ErrPassphrase], or [ErrOffline] where there is nothing
// to unlock.
func (s *Set) Unlock(passphrase []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.show()
	switch {
	case s.identity != nil:
		return nil
	case s.locked == nil:
		return fmt.Errorf("unlock: %w", ErrOffline)
	}
	k, err := s.locked.open(passphrase)
	if err != nil {
		return fmt.Errorf("unlock: %w", err)
	}
	s.identity = k
	return nil
}

// Protect writes the identity under the passphrase, or in the clear if that is
// empty. The identity must be there, and unlocked. The bytes of the file that it
// replaces may survive on the disk.
func (s *Set) Protect(passphrase []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.show()
	if err := s.offline(); err != nil {
		return fmt.Errorf("protect: %w", err)
	}
	if err := writeIdentity(s.disk, s.identity, passphrase); err != nil {
		return fmt.Errorf("protect: %w", err)
	}
	return nil
}

// An Item is one key of a set, for an operator to see.
type Item struct {
	Kind      string    // "identity", "signing key", "note key", "link key", "circuit key"
	Public    string    // base64url
	Created   time.Time // zero: not kept for this kind
	Published time.Time // zero: never, or not kept for this kind
	Expires   time.Time // of the certificate; zero: none
	Due       time.Time // when it is renewed or, if Retired, erased; zero: not by itself
	Retired   bool      // it still answers, its successor is published or made
}

// Items returns the keys of the set, the identity first.
func (s *Set) Items(now time.Time) []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []Item{{Kind: "identity", Public: s.id.String()}}
	if s.signing != nil {
		c := s.signing.cert
		items = append(items, Item{Kind: string(fileSigning), Public: SigningPublic(c.Subject).String(), Created: c.NotBefore, Expires: c.Expires, Due: s.signing.dueAt(now)})
	}
	if s.note != nil {
		c := s.note.cert
		items = append(items, Item{Kind: string(fileNote), Public: NotePublic(c.Subject).String(), Created: c.NotBefore, Expires: c.Expires, Due: s.note.dueAt(now)})
	}
	items = append(items, s.links.items()...)
	return append(items, s.circuits.items()...)
}

func (r *ring[K]) items() (items []Item) {
	for i, e := range r.entries {
		it := Item{Kind: string(r.kind), Public: LinkPublic(e.key.public()).String(), Created: e.created, Published: e.published, Expires: e.cert.Expires}
		it.Due, it.Retired = r.rotateAt(), i > 0
		if it.Retired {
			it.Due = r.retireAt(i)
		}
		if it.Due.Equal(farFuture) {
			it.Due = time.Time{}
		}
		items = append(items, it)
	}
	return items
}
