package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

const (
	voucherFile    = "voucher"
	maxVoucherFile = 1 << 10 // our choice: bytes; one has 196
)

// Vouch makes a voucher: the operator's word for the relay of another, which
// shortens its time as a newcomer. A family's vouchers are counted by the day of
// notBefore; see [IdentityKey.CertifySigning].
func (k *FamilyKey) Vouch(id RelayID, notBefore, expires time.Time) Certificate {
	return k.certify(CertVoucher, id, notBefore, expires)
}

// Newcomer returns the family that vouched for relay id, valid now; see
// [Certificate.SigningKey].
func (c *Certificate) Newcomer(id RelayID, now time.Time) (FamilyPublic, error) {
	if c.Subject != [PublicSize]byte(id) {
		return FamilyPublic{}, ErrSigner
	}
	if err := c.check(CertVoucher, c.Signer, now); err != nil {
		return FamilyPublic{}, err
	}
	return c.Signer, nil
}

// Voucher returns the voucher for the set's identity that an operator has put
// into the directory, as the file voucher; false if there is none that holds
// now.
func (s *Set) Voucher(now time.Time) (Certificate, bool) {
	if s.voucher == nil {
		return Certificate{}, false
	}
	_, err := s.voucher.Newcomer(s.id, now)
	return *s.voucher, err == nil
}

// loadVoucher reads the voucher, where an operator has put one. One that is
// another relay's, or that nobody signed, is an error; one that has run out or
// is not valid yet is kept and not shown.
func (s *Set) loadVoucher() error {
	b, err := s.disk.read(voucherFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := parseVoucher(b)
	if err != nil {
		return err
	}
	if _, err := c.Newcomer(s.id, c.NotBefore); err != nil {
		return err
	}
	s.voucher = c
	return nil
}

func parseVoucher(b []byte) (*Certificate, error) {
	if len(b) > maxVoucherFile {
		return nil, fmt.Errorf("voucher of %d bytes: %w", len(b), ErrMalformed)
	}
	c := new(Certificate)
	if err := c.UnmarshalText([]byte(strings.TrimSuffix(string(b), "\n"))); err != nil {
		return nil, err
	}
	return c, nil
}
