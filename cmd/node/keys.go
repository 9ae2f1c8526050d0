package node

import (
	"net/netip"
	"path/filepath"

	"tunic/directory"
	"tunic/directory/keys"
)

// KeyDir returns the directory of the keys of the node with this state directory.
func KeyDir(state string) string { return filepath.Join(state, "keys") }

// AuthorityEntry returns what the network file says of the authority with these
// keys.
func AuthorityEntry(set *keys.Set, name string, addrs []netip.AddrPort) directory.Authority {
	a := directory.Authority{Name: name, ID: set.ID(), Addrs: addrs}
	a.LinkKey, _ = set.Link()
	if note, _ := set.Note(); note != nil {
		a.NoteKey = note.Public()
	}
	return a
}
