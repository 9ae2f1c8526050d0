package directory

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/pelletier/go-toml/v2"

	"tunic/directory/keys"
)

// networkFile is the network file as people see it. Field by field it is
// docs/protocol.md, "Network file".
type networkFile struct {
	Version          int             `toml:"version"`
	Name             string          `toml:"name"`
	PrivateAddresses bool            `toml:"private_addresses"`
	SameSubnet       bool            `toml:"same_subnet"`
	Timing           timingTable     `toml:"timing"`
	Authorities      []authorityItem `toml:"authority"`
	Fallbacks        []fallbackItem  `toml:"fallback"`
}

type timingTable struct {
	Start         moment   `toml:"start"`
	InitialRounds int      `toml:"initial_rounds"`
	InitialPeriod duration `toml:"initial_period"`
	Period        duration `toml:"period"`
	VoteRound     duration `toml:"vote_round"`
	SignTime      duration `toml:"sign_time"`
}

type authorityItem struct {
	Name      string          `toml:"name"`
	Identity  keys.RelayID    `toml:"identity"`
	LinkKey   keys.LinkPublic `toml:"link_key"`
	NoteKey   keys.NotePublic `toml:"note_key"`
	Addresses []address       `toml:"addresses"`
}

type fallbackItem struct {
	Identity  keys.RelayID    `toml:"identity"`
	LinkKey   keys.LinkPublic `toml:"link_key"`
	Addresses []address       `toml:"addresses"`
}

// moment is a time in the one form of all documents.
type moment struct{ time.Time }

// UnmarshalText reads a time.
func (m *moment) UnmarshalText(b []byte) (err error) {
	if m.Time, err = parseTime(string(b)); err != nil {
		return errors.New("want a time such as 2026-01-31T12:00:00.000Z")
	}
	return nil
}

// duration is a length of time as Go writes it.
type duration struct{ time.Duration }

// UnmarshalText reads a duration.
func (d *duration) UnmarshalText(b []byte) (err error) {
	if d.Duration, err = time.ParseDuration(string(b)); err != nil || d.Duration < 0 {
		return errors.New("want a duration such as 150ms or 1h")
	}
	return nil
}

// address is an address with a port.
type address struct{ netip.AddrPort }

// UnmarshalText reads an address in its one form.
func (a *address) UnmarshalText(b []byte) (err error) {
	if a.AddrPort, err = parseAddr(string(b)); err != nil {
		return errors.New("want an address with a port, such as 192.0.2.1:9001 or [2001:db8::1]:9001")
	}
	return nil
}

// ParseNetwork reads a network file. Its errors say the line where they can;
// keys that it does not know are errors.
func ParseNetwork(b []byte) (*Network, error) {
	if len(b) > MaxNetworkFile {
		return nil, fmt.Errorf("network file of %d bytes: %w", len(b), ErrTooLarge)
	}
	f := networkFile{}
	if err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(&f); err != nil {
		return nil, fmt.Errorf("network file: %w: %s", ErrMalformed, tomlProblem(err))
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("network file: %w: version %d, want 1", ErrMalformed, f.Version)
	}
	n := f.network()
	if err := n.Check(); err != nil {
		return nil, fmt.Errorf("network file: %w", err)
	}
	return n, nil
}

// tomlProblem returns what the library has to say, with the lines at fault.
func tomlProblem(err error) string {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		return "unknown keys:\n" + strict.String()
	}
	decode, ok := errors.AsType[*toml.DecodeError](err)
	switch {
	case !ok:
		return err.Error()
	case len(decode.Key()) == 0: // no TOML: another file, perhaps one with a private key; it is not shown
		line, column := decode.Position()
		return fmt.Sprintf("line %d, column %d: %v", line, column, decode)
	}
	return "\n" + decode.String()
}

func (f *networkFile) network() *Network {
	n := &Network{
		Name:             f.Name,
		PrivateAddresses: f.PrivateAddresses,
		SameSubnet:       f.SameSubnet,
		Timing: Timing{
			Start:         f.Timing.Start.Time,
			InitialRounds: f.Timing.InitialRounds,
			InitialPeriod: f.Timing.InitialPeriod.Duration,
			Period:        f.Timing.Period.Duration,
			VoteRound:     f.Timing.VoteRound.Duration,
			SignTime:      f.Timing.SignTime.Duration,
		},
	}
	for _, a := range f.Authorities {
		n.Authorities = append(n.Authorities, Authority{
			Name: a.Name, ID: a.Identity, LinkKey: a.LinkKey, NoteKey: a.NoteKey, Addrs: plain(a.Addresses),
		})
	}
	for _, m := range f.Fallbacks {
		n.Fallbacks = append(n.Fallbacks, Fallback{ID: m.Identity, LinkKey: m.LinkKey, Addrs: plain(m.Addresses)})
	}
	return n
}

func plain(list []address) (addrs []netip.AddrPort) {
	for _, a := range list {
		addrs = append(addrs, a.AddrPort)
	}
	return addrs
}

// Encode returns the network file, with comments for its reader.
func (n *Network) Encode() ([]byte, error) {
	if err := n.Check(); err != nil {
		return nil, fmt.Errorf("encode network file: %w", err)
	}
	var b bytes.Buffer
	b.WriteString("# All that a node or a client needs to know to join this network.\n\nversion = 1\n")
	fmt.Fprintf(&b, "name = %q\n", n.Name)
	if n.PrivateAddresses {
		b.WriteString("private_addresses = true # a test network: loopback and private addresses are allowed\n")
	}
	if n.SameSubnet {
		b.WriteString("same_subnet = true # relays of one subnet may share a circuit\n")
	}
	n.Timing.encode(&b)
	for _, a := range n.Authorities {
		fmt.Fprintf(&b, "\n[[authority]]\nname = %q\nidentity = %q\nlink_key = %q\n", a.Name, a.ID, a.LinkKey)
		if a.NoteKey != (keys.NotePublic{}) {
			fmt.Fprintf(&b, "note_key = %q\n", a.NoteKey)
		}
		encodeAddrs(&b, a.Addrs)
	}
	for _, f := range n.Fallbacks {
		fmt.Fprintf(&b, "\n[[fallback]]\nidentity = %q\nlink_key = %q\n", f.ID, f.LinkKey)
		encodeAddrs(&b, f.Addrs)
	}
	if b.Len() > MaxNetworkFile {
		return nil, fmt.Errorf("encode network file of %d bytes: %w", b.Len(), ErrTooLarge)
	}
	return b.Bytes(), nil
}

func (t Timing) encode(b *bytes.Buffer) {
	b.WriteString("\n[timing] # when each consensus is made; the same for all\n")
	fmt.Fprintf(b, "start = %q\n", t.Start.UTC().Format(timeLayout))
	if t.InitialRounds > 0 {
		fmt.Fprintf(b, "initial_rounds = %d\ninitial_period = %q\n", t.InitialRounds, t.InitialPeriod)
	}
	fmt.Fprintf(b, "period = %q\nvote_round = %q\nsign_time = %q\n", t.Period, t.VoteRound, t.SignTime)
}

func encodeAddrs(b *bytes.Buffer, addrs []netip.AddrPort) {
	b.WriteString("addresses = [")
	for i, a := range addrs {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(b, "%q", a)
	}
	b.WriteString("]\n")
}
