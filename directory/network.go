package directory

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"

	"tunic/directory/keys"
)

const ( // fixed by docs/protocol.md, "Network file"
	// MaxNetworkFile is the most bytes of a network file.
	MaxNetworkFile = 256 << 10
	// MaxAuthorities is the most authorities of a network.
	MaxAuthorities = 32
	// MaxFallbacks is the most fallback mirrors of a network.
	MaxFallbacks = 256

	maxNetworkName   = 64 // letters, digits, - . _
	maxAuthorityName = 32 // the same
	maxNodeAddrs     = 4  // addresses of one authority or fallback
)

// A Network is what the network file says: all that a new user needs to be
// handed. It is not changed after ParseNetwork.
type Network struct {
	Name             string
	PrivateAddresses bool // a test network: private addresses are allowed everywhere
	SameSubnet       bool // relays of one /16 or /32 may share a circuit
	Timing           Timing
	Authorities      []Authority
	Fallbacks        []Fallback
}

// An Authority of the network.
type Authority struct {
	Name    string
	ID      keys.RelayID
	LinkKey keys.LinkPublic
	NoteKey keys.NotePublic // zero: only certificates name its note key
	Addrs   []netip.AddrPort
}

// A Fallback is a mirror to start from.
type Fallback struct {
	ID      keys.RelayID
	LinkKey keys.LinkPublic
	Addrs   []netip.AddrPort
}

// Digest is what binds handshakes and documents to the network: SHA-256 of a
// label, the name and the authorities' identities in ascending order. Keys that
// change, addresses and timing may change without making it another network.
func (n *Network) Digest() Digest {
	ids := make([]keys.RelayID, len(n.Authorities))
	for i, a := range n.Authorities {
		ids[i] = a.ID
	}
	slices.SortFunc(ids, CompareID)
	h := sha256.New()
	h.Write([]byte(keys.LabelNetwork))
	h.Write([]byte{byte(len(n.Name))})
	h.Write([]byte(n.Name))
	for _, id := range ids {
		h.Write(id[:])
	}
	return Digest(h.Sum(nil))
}

// Authority returns the authority with that identity, nil if there is none.
func (n *Network) Authority(id keys.RelayID) *Authority {
	for i := range n.Authorities {
		if n.Authorities[i].ID == id {
			return &n.Authorities[i]
		}
	}
	return nil
}

// Majority is the least number of authorities that is more than half.
func (n *Network) Majority() int { return len(n.Authorities)/2 + 1 }

// VoteRounds is f+1 for f = ⌊(n-1)/2⌋ authorities that may lie.
func (n *Network) VoteRounds() int { return (len(n.Authorities)-1)/2 + 1 }

// Check says what is wrong with a network that was not parsed but made.
func (n *Network) Check() error {
	switch {
	case !isName(n.Name, maxNetworkName, "-._"):
		return fmt.Errorf("%w: name is not 1 to %d letters, digits, - . _", ErrMalformed, maxNetworkName)
	case len(n.Authorities) < 1 || len(n.Authorities) > MaxAuthorities:
		return fmt.Errorf("%w: %d authorities, want 1 to %d", ErrMalformed, len(n.Authorities), MaxAuthorities)
	case len(n.Fallbacks) > MaxFallbacks:
		return fmt.Errorf("%w: more than %d fallbacks", ErrMalformed, MaxFallbacks)
	}
	if err := n.Timing.check(n.VoteRounds()); err != nil {
		return fmt.Errorf("timing: %w", err)
	}
	for i := range n.Authorities {
		if err := n.checkAuthority(i); err != nil {
			return fmt.Errorf("authority %d: %w", i+1, err)
		}
	}
	for i, f := range n.Fallbacks {
		if err := n.checkNode(f.ID, f.LinkKey, f.Addrs); err != nil {
			return fmt.Errorf("fallback %d: %w", i+1, err)
		}
		if slices.ContainsFunc(n.Fallbacks[:i], func(o Fallback) bool { return o.ID == f.ID }) {
			return fmt.Errorf("fallback %d: %w: identity occurs twice", i+1, ErrMalformed)
		}
	}
	return nil
}

// CheckAuthority says what no network file would take of an authority's name and
// addresses. Private addresses some take.
func CheckAuthority(name string, addrs []netip.AddrPort) error {
	if err := checkAuthorityName(name); err != nil {
		return err
	}
	return (&Network{PrivateAddresses: true}).checkAddrs(addrs)
}

func checkAuthorityName(name string) error {
	if !isName(name, maxAuthorityName, "-._") {
		return fmt.Errorf("%w: name is not 1 to %d letters, digits, - . _", ErrMalformed, maxAuthorityName)
	}
	return nil
}

// checkAuthority makes sure, beside all else, that no two authorities share a
// key or an address: each is to count once, and to be reached.
func (n *Network) checkAuthority(i int) error {
	a := &n.Authorities[i]
	if err := checkAuthorityName(a.Name); err != nil {
		return err
	}
	for _, o := range n.Authorities[:i] {
		for k, addr := range a.Addrs {
			if slices.Contains(o.Addrs, addr) {
				return fmt.Errorf("%w: address %d is %s's as well", ErrMalformed, k+1, o.Name)
			}
		}
		noteTwice := a.NoteKey == o.NoteKey && a.NoteKey != keys.NotePublic{}
		if a.Name == o.Name || a.ID == o.ID || a.LinkKey == o.LinkKey || noteTwice {
			return fmt.Errorf("%w: name or key occurs twice", ErrMalformed)
		}
	}
	return n.checkNode(a.ID, a.LinkKey, a.Addrs)
}

func (n *Network) checkNode(id keys.RelayID, link keys.LinkPublic, addrs []netip.AddrPort) error {
	if bytes.Equal(id[:], make([]byte, len(id))) || bytes.Equal(link[:], make([]byte, len(link))) {
		return fmt.Errorf("%w: identity or link_key is missing", ErrMalformed)
	}
	return n.checkAddrs(addrs)
}

func (n *Network) checkAddrs(addrs []netip.AddrPort) error {
	if len(addrs) < 1 || len(addrs) > maxNodeAddrs {
		return fmt.Errorf("%w: %d addresses, want 1 to %d", ErrMalformed, len(addrs), maxNodeAddrs)
	}
	for i, a := range addrs {
		if !validAddr(a) || slices.Contains(addrs[:i], a) {
			return fmt.Errorf("%w: address %d cannot be dialled, or occurs twice", ErrMalformed, i+1)
		}
		if !n.PrivateAddresses && Private(a.Addr()) {
			return fmt.Errorf("%w: address %d is private, and private_addresses is not set", ErrMalformed, i+1)
		}
	}
	return nil
}
