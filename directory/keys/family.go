package keys

import "time"

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
