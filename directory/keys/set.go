package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The files of a set. Link and circuit keys have one each, see ring.
const (
	identityFile = "identity.key"
	signingFile  = "signing.key"
	noteFile     = "note.key"
	familyFile   = "family.key"
)

// What a set may lack.
var (
	// ErrOffline says that the identity key is not here, so that it can't
	// certify anything.
	ErrOffline = errors.New("identity key is kept elsewhere")
	// ErrOtherSet says that a directory holds the keys of something else: a
	// relay's where an authority's belong, or another identity's.
	ErrOtherSet = errors.New("keys of something else")
)

// A Set is the keys of one relay or authority, and the directory that keeps
// them. A relay has a signing key, link keys and circuit keys; an authority has
// a note key in place of the circuit keys. The identity key may be in the
// directory, or in it under a passphrase, or elsewhere: then the set holds only
// the certificate that the identity has made for the signing key.
//
// Every change is on disk before the set shows it. Each file is whole in
// itself, and [Set.Renew] brings any combination that a crash may leave back to
// where it belongs.
//
// A Set may be used by several goroutines; what reads it never waits for a disk.
type Set struct {
	id        RelayID
	authority bool
	family    *FamilyKey   // nil: none; not changed after loading
	voucher   *Certificate // nil: none; not changed after loading
	now       atomic.Pointer[view]

	mu       sync.Mutex // held while something changes; guards what follows
	disk     storage
	identity *IdentityKey // nil: locked or elsewhere
	locked   *sealed      // the identity's file, if it is under a passphrase
	signing  *certified   // nil: none
	note     *certified   // nil: none, or a relay's set
	links    ring[*LinkKey]
	circuits ring[*CircuitKey]
}

// A view is what readers of a Set see; it is never changed.
type view struct {
	identity    IdentityState
	signing     *SigningKey
	signingCert Certificate
	note        *NoteKey
	noteCert    Certificate
	links       []entry[*LinkKey]
	circuits    []entry[*CircuitKey]
}

// LoadOrCreate reads a relay's keys from dir, makes what is missing, and renews
// what is due. Where dir is missing or empty it makes an identity. Keys without
// an identity, or a signing key that has expired while the identity is locked
// or elsewhere, are errors.
func LoadOrCreate(dir string, now time.Time) (*Set, error) { return loadOrCreate(dir, false, now) }

// LoadOrCreateAuthority is [LoadOrCreate] for an authority.
func LoadOrCreateAuthority(dir string, now time.Time) (*Set, error) {
	return loadOrCreate(dir, true, now)
}

func loadOrCreate(dir string, authority bool, now time.Time) (*Set, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	disk, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	return create(disk, authority, now)
}

func create(disk storage, authority bool, now time.Time) (*Set, error) {
	names, err := disk.list()
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(names, func(n string) bool { return isKeyFile(n) && n != familyFile }) {
		if err := writeIdentity(disk, GenerateIdentity(), nil); err != nil {
			return nil, err
		}
	}
	s, err := load(disk, authority)
	if err != nil {
		return nil, err
	}
	if _, err := s.Renew(now); err != nil {
		return nil, err
	}
	return s, nil
}

// Load reads the keys in dir, a relay's or an authority's, and changes nothing
// but what a crash has left half done. What is missing or expired stays so
// until [Set.Renew].
func Load(dir string) (*Set, error) {
	disk, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	names, err := disk.list()
	if err != nil {
		return nil, err
	}
	return load(disk, slices.Contains(names, noteFile))
}

func isKeyFile(name string) bool { return strings.HasSuffix(name, ".key") }

func writeIdentity(disk storage, k *IdentityKey, passphrase []byte) error {
	b := EncodeIdentity(k, passphrase)
	defer clear(b)
	return disk.write(identityFile, b)
}

func load(disk storage, authority bool) (*Set, error) {
	s := &Set{disk: disk, authority: authority, links: newLinks(linkRotation), circuits: newCircuits(circuitRotation)}
	if authority {
		s.links = newLinks(authorityLinkRotation)
	}
	names, err := disk.list()
	if err != nil {
		return nil, err
	}
	if err := s.checkRole(names); err != nil {
		return nil, err
	}
	if err := s.loadIdentity(); err != nil {
		return nil, fmt.Errorf("%s: %w", identityFile, err)
	}
	if err := s.loadFamily(); err != nil {
		return nil, fmt.Errorf("%s: %w", familyFile, err)
	}
	if err := s.loadCertified(); err != nil {
		return nil, err
	}
	if err := s.loadVoucher(); err != nil {
		return nil, fmt.Errorf("%s: %w", voucherFile, err)
	}
	if err := s.links.load(disk, names); err != nil {
		return nil, err
	}
	if err := s.circuits.load(disk, names); err != nil {
		return nil, err
	}
	s.show()
	return s, nil
}

// checkRole refuses a relay's directory for an authority, and the reverse.
func (s *Set) checkRole(names []string) error {
	circuit := slices.ContainsFunc(names, func(n string) bool {
		return isKeyFile(n) && strings.HasPrefix(n, s.circuits.prefix)
	})
	switch {
	case s.authority && circuit:
		return fmt.Errorf("key directory of a relay, not of an authority: %w", ErrOtherSet)
	case !s.authority && slices.Contains(names, noteFile):
		return fmt.Errorf("key directory of an authority, not of a relay: %w", ErrOtherSet)
	}
	return nil
}

// loadIdentity reads the identity, where the directory has it.
func (s *Set) loadIdentity() error {
	b, err := s.disk.read(identityFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer clear(b)
	s.identity, err = ParseIdentity(b, nil)
	if errors.Is(err, ErrLocked) {
		s.locked, err = parseSealed(b)
	}
	switch {
	case err != nil:
		return err
	case s.identity != nil:
		s.id = s.identity.Public()
	default:
		s.id = s.locked.public
	}
	return nil
}

// loadCertified reads what the identity has certified.
func (s *Set) loadCertified() (err error) {
	if s.signing, err = readCertified(s.disk, fileSigning); err != nil {
		return err
	}
	if s.authority {
		if s.note, err = readCertified(s.disk, fileNote); err != nil {
			return err
		}
	}
	if s.id == (RelayID{}) {
		if s.signing == nil {
			return fmt.Errorf("key directory without identity and signing key: %w", ErrOffline)
		}
		s.id = s.signing.cert.Signer
	}
	for _, c := range []*certified{s.signing, s.note} {
		if c != nil && c.cert.Signer != s.id {
			return fmt.Errorf("%s of another identity: %w", c.kind, ErrOtherSet)
		}
	}
	return nil
}

// show lets readers see the set as it is now.
func (s *Set) show() {
	v := &view{
		identity: s.identityState(),
		links:    slices.Clone(s.links.entries),
		circuits: slices.Clone(s.circuits.entries),
	}
	if s.signing != nil {
		v.signing, v.signingCert = &SigningKey{s.signing.key}, s.signing.cert
	}
	if s.note != nil {
		v.note, v.noteCert = &NoteKey{s.note.key}, s.note.cert
	}
	s.now.Store(v)
}
