package keys

import (
	"crypto/ed25519"
	"errors"
	"io/fs"
	"time"
)

// A FamilyPublic is the public key of a [FamilyKey], Ed25519. It names the
// family.
type FamilyPublic [PublicSize]byte

// A FamilyKey is what one operator's relays have in common: with it the operator
// certifies the identity of each, so that no circuit goes through two of them.
type FamilyKey struct{ signer }

// GenerateFamily makes a family.
func GenerateFamily() *FamilyKey { return &FamilyKey{newSigner()} }

// Public returns the public key.
func (k *FamilyKey) Public() FamilyPublic { return FamilyPublic(k.public()) }

// CertifyMember makes a certificate for a relay of the family; see
// [IdentityKey.CertifySigning].
func (k *FamilyKey) CertifyMember(id RelayID, notBefore, expires time.Time) Certificate {
	return k.certify(CertFamily, id, notBefore, expires)
}

// FamilyMember returns the family that certified relay id as its own, valid
// now; see [Certificate.SigningKey].
func (c *Certificate) FamilyMember(id RelayID, now time.Time) (FamilyPublic, error) {
	if c.Subject != [PublicSize]byte(id) {
		return FamilyPublic{}, ErrSigner
	}
	if err := c.check(CertFamily, c.Signer, now); err != nil {
		return FamilyPublic{}, err
	}
	return c.Signer, nil
}

// EncodeFamily returns the key file of a family. An operator puts it as
// family.key into the key directory of each of the relays.
func EncodeFamily(k *FamilyKey) []byte {
	r := record{kind: fileFamily, public: k.public(), private: [32]byte(k.key[:ed25519.SeedSize])}
	defer r.wipe()
	return r.encode()
}

// ParseFamily decodes the key file of a family. The error is [ErrMalformed].
func ParseFamily(b []byte) (*FamilyKey, error) {
	r, err := parseRecord(b, fileFamily)
	if err != nil {
		return nil, err
	}
	defer r.wipe()
	k := new(FamilyKey)
	k.set(&r.private)
	return k, nil
}

const memberLife = 30 * day // our choice: of a certificate in a descriptor, which holds for 18 hours

// Family returns a certificate by the family whose key is in the directory for
// the set's identity; false if there is none.
func (s *Set) Family(now time.Time) (Certificate, bool) {
	if s.family == nil {
		return Certificate{}, false
	}
	return s.family.CertifyMember(s.id, backdate(now), now.Add(memberLife)), true
}

// loadFamily reads the family's key, where an operator has put one.
func (s *Set) loadFamily() error {
	b, err := s.disk.read(familyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer clear(b)
	s.family, err = ParseFamily(b)
	return err
}
