package link

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"tunic/cell"
	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

// established is what a finished handshake, with the first record of each side,
// says about a link.
type established struct {
	peer    keys.RelayID // zero unless proven
	proven  bool         // the peer showed that it is peer
	dialled bool         // we opened the link
	proved  bool         // we sent a proof: as the dialler, we are a relay
	hash    [32]byte
	remote  netip.AddrPort
	seen    netip.AddrPort // our address, as the peer says
	skew    time.Duration  // of the peer's clock, as it says; 0: not told
	pad     Padding        // what this side sends; off between relays
}

// A handshaken connection is ready to become a link.
type handshaken struct {
	established
	conn net.Conn
	in   *inbound
	out  *sealer
}

// versions are the link versions that we speak, the highest first.
func versions() []uint8 { return []uint8{linkVersion} }

// commonVersions returns our versions that the target answers; all if it names
// none.
func commonVersions(theirs []uint8) []uint8 {
	if len(theirs) == 0 {
		return versions()
	}
	return slices.DeleteFunc(versions(), func(v uint8) bool { return !slices.Contains(theirs, v) })
}

// newHandshaken sets up the records of a session.
func newHandshaken(conn net.Conn, s *hybrid.Session) *handshaken {
	h := &handshaken{conn: conn, in: newInbound(conn, newOpener(s.Recv)), out: newSealer(s.Send)}
	h.hash = s.Hash
	h.remote = remoteAddr(conn)
	return h
}

// remoteAddr returns the address of a connection's peer, zero if it has none that
// is an IP address and port.
func remoteAddr(conn net.Conn) netip.AddrPort {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		a := tcp.AddrPort()
		return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
	}
	return netip.AddrPort{}
}

// firstRecord makes the first record of a side: PROOF, or PADDING if proof is nil,
// then NETINFO.
func (h *handshaken) firstRecord(proof *keys.Proof, info netInfo) ([]byte, error) {
	b := make([]byte, lengthSize+firstCells*cell.Size, lengthSize+firstSealed)
	first, second := b[lengthSize:][:cell.Size], b[lengthSize+cell.Size:]
	cell.PutHeader(first, cell.Header{Command: cell.Padding})
	if proof != nil {
		cell.PutHeader(first, cell.Header{Command: cell.Proof})
		proof.Append(first[:cell.HeaderSize], h.hash)
	}
	cell.PutHeader(second, cell.Header{Command: cell.NetInfo})
	info.put(second[cell.HeaderSize:])
	return h.out.seal(b)
}

// readFirst reads the other side's first record. body is that of the first cell,
// which is a PROOF or a PADDING; it lies in the read buffer.
func (h *handshaken) readFirst() (first cell.Command, body []byte, info netInfo, err error) {
	cells, err := h.in.next()
	if err != nil {
		return 0, nil, netInfo{}, err
	}
	if len(cells) != firstCells*cell.Size {
		return 0, nil, netInfo{}, fmt.Errorf("first record of %d cells: %w", len(cells)/cell.Size, cell.ErrMalformed)
	}
	one := cell.ParseHeader((*[cell.Size]byte)(cells))
	two := cell.ParseHeader((*[cell.Size]byte)(cells[cell.Size:]))
	if one.Circuit != 0 || one.Command != cell.Proof && one.Command != cell.Padding {
		return 0, nil, netInfo{}, malformed(one, "first on a link")
	}
	if two.Circuit != 0 || two.Command != cell.NetInfo {
		return 0, nil, netInfo{}, malformed(two, "second on a link")
	}
	info, err = parseNetInfo(cells[cell.Size+cell.HeaderSize:])
	return one.Command, cells[cell.HeaderSize:cell.Size], info, err
}
