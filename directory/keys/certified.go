package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// certified is an Ed25519 key and the identity's certificate for it: the
// signing key, or an authority's note key.
type certified struct {
	kind fileKind
	key  signer
	cert Certificate
}

func certifiedFile(kind fileKind) string {
	if kind == fileNote {
		return noteFile
	}
	return signingFile
}

// readCertified returns nil when there is none.
func readCertified(disk storage, kind fileKind) (*certified, error) {
	name := certifiedFile(kind)
	b, err := disk.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer clear(b)
	r, err := parseRecord(b, kind)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer r.wipe()
	if err := r.cert.verifySignature(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c := &certified{kind: kind, cert: r.cert}
	c.key.set(&r.private)
	return c, nil
}

func (c *certified) write(disk storage) error {
	r := record{kind: c.kind, public: c.key.public(), private: [32]byte(c.key.key.Seed()), cert: c.cert}
	defer r.wipe()
	b := r.encode()
	defer clear(b)
	return disk.write(certifiedFile(c.kind), b)
}

// valid reports whether the certificate holds at now.
func (c *certified) valid(now time.Time) bool {
	return c != nil && !now.Before(c.cert.NotBefore) && now.Before(c.cert.Expires)
}

// dueAt returns when the certificate is to be made again: when a third of its
// time is left, or at once if it lies in the future or there is none.
func (c *certified) dueAt(now time.Time) time.Time {
	if c == nil || now.Before(c.cert.NotBefore) {
		return time.Time{}
	}
	return c.cert.Expires.Add(-c.cert.Expires.Sub(c.cert.NotBefore) / 3)
}
