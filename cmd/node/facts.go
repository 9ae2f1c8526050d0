package node

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/pelletier/go-toml/v2"

	"tunic/directory"
	"tunic/directory/keys"
)

// facts is what an authority's operator hands to whoever writes the network
// file: a file of its own, for a network file needs several.
type facts struct {
	Name      string           `toml:"name"`
	Identity  keys.RelayID     `toml:"identity"`
	LinkKey   keys.LinkPublic  `toml:"link_key"`
	NoteKey   keys.NotePublic  `toml:"note_key"`
	Addresses []netip.AddrPort `toml:"addresses"`
}

// maxFacts bounds a file of facts, in bytes; our choice, one has some 300.
const maxFacts = 16 << 10

// WriteFacts writes what the network file says of an authority to a file.
func WriteFacts(path string, a directory.Authority) error {
	b, err := toml.Marshal(facts{a.Name, a.ID, a.LinkKey, a.NoteKey, a.Addrs})
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600) // public, but its directory is not
}

// ReadFacts reads what [WriteFacts] wrote.
func ReadFacts(path string) (directory.Authority, error) {
	f, err := os.Open(path)
	if err != nil {
		return directory.Authority{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFacts))
	if err != nil {
		return directory.Authority{}, err
	}
	var v facts
	if err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(&v); err != nil {
		return directory.Authority{}, fmt.Errorf("%s:\n%s", path, explain(err))
	}
	if v.Name == "" || len(v.Addresses) == 0 || v.Identity == (keys.RelayID{}) || v.LinkKey == (keys.LinkPublic{}) {
		return directory.Authority{}, fmt.Errorf("%s: name, identity, link_key and addresses are needed", path)
	}
	return directory.Authority{Name: v.Name, ID: v.Identity, LinkKey: v.LinkKey, NoteKey: v.NoteKey, Addrs: v.Addresses}, nil
}
