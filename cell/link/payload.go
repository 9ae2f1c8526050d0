package link

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"time"

	"tunic/cell"
)

// An offer is the payload of message 1: the versions that the initiator speaks,
// 8 bytes, and the padding that it would like; zeros follow.
//
//	count      1  of versions, 1 to 7
//	versions   7  the highest first, each once; 0 behind the last
//	padding    4  see putPadding
//	zeros     36  ignored on receipt
type offer struct {
	versions [maxVersions]uint8 // 0 behind the last
	padding  Padding
}

func (o *offer) appendBinary(b []byte) []byte {
	n := 0
	for n < maxVersions && o.versions[n] != 0 {
		n++
	}
	b = append(b, uint8(n))
	b = append(b, o.versions[:]...)
	b = appendPadding(b, o.padding)
	return append(b, make([]byte, payload1Size-1-maxVersions-4)...)
}

func parseOffer(b []byte) (o offer, err error) {
	if len(b) != payload1Size {
		return offer{}, fmt.Errorf("offer of %d bytes: %w", len(b), cell.ErrMalformed)
	}
	n := int(b[0])
	copy(o.versions[:], b[1:])
	if n < 1 || n > maxVersions {
		return offer{}, fmt.Errorf("offer of %d versions: %w", n, cell.ErrMalformed)
	}
	above := uint8(math.MaxUint8)
	for i, v := range o.versions {
		if i < n && (v == 0 || i > 0 && v >= above) || i >= n && v != 0 {
			return offer{}, fmt.Errorf("offer of versions out of order: %w", cell.ErrMalformed)
		}
		above = v
	}
	o.padding, err = parsePadding(b[1+maxVersions:])
	return o, err
}

// choose returns the highest of our versions that the offer has.
func (o *offer) choose(ours []uint8) (uint8, bool) {
	for _, v := range o.versions {
		for _, w := range ours {
			if v != 0 && v == w {
				return v, true
			}
		}
	}
	return 0, false
}

// An answer is the payload of message 2.
//
//	version    1
//	time       8  of the responder, milliseconds since 1970
//	seen      19  the initiator's address as the responder sees it, see appendSeen
//	zeros     36  ignored on receipt
type answer struct {
	version uint8
	time    time.Time
	seen    netip.AddrPort
}

func (a *answer) appendBinary(b []byte) []byte {
	b = append(b, a.version)
	b = appendTime(b, a.time)
	b = appendSeen(b, a.seen)
	return append(b, make([]byte, payload2Size-1-timeSize-seenSize)...)
}

func parseAnswer(b []byte) (a answer, err error) {
	if len(b) != payload2Size {
		return answer{}, fmt.Errorf("answer of %d bytes: %w", len(b), cell.ErrMalformed)
	}
	a.version = b[0]
	if a.time, err = parseTime(b[1:]); err != nil {
		return answer{}, err
	}
	a.seen, err = parseSeen(b[1+timeSize:])
	return a, err
}

// A netInfo is the body of a NETINFO cell: time 8, seen 19, zeros that are ignored
// on receipt. A client's time is 0: its clock would tell it from others.
type netInfo struct {
	time time.Time // zero: not told
	seen netip.AddrPort
}

// put writes the body of a NETINFO cell.
func (n *netInfo) put(body []byte) {
	clear(body)
	appendSeen(appendTime(body[:0], n.time), n.seen)
}

func parseNetInfo(body []byte) (n netInfo, err error) {
	if len(body) != cell.BodySize {
		return netInfo{}, fmt.Errorf("NETINFO of %d bytes: %w", len(body), cell.ErrMalformed)
	}
	if n.time, err = parseTime(body); err != nil {
		return netInfo{}, err
	}
	n.seen, err = parseSeen(body[timeSize:])
	return n, err
}

const ( // fixed by docs/protocol.md, "Links"; sizes in bytes
	timeSize = 8
	seenSize = 1 + 16 + 2

	// latest is the last time that a peer may claim, 9999-12-31 in milliseconds
	// since 1970, so that no sum with it overflows.
	latest = 253_402_214_400_000
)

// appendTime appends a time in milliseconds since 1970; 0 for the zero time and
// what the peer would refuse.
func appendTime(b []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if ms < 0 || ms > latest {
		ms = 0
	}
	return binary.BigEndian.AppendUint64(b, uint64(ms))
}

// parseTime decodes the first 8 of b's bytes.
func parseTime(b []byte) (time.Time, error) {
	ms := binary.BigEndian.Uint64(b)
	switch {
	case ms == 0:
		return time.Time{}, nil
	case ms > latest:
		return time.Time{}, fmt.Errorf("time beyond the year 9999: %w", cell.ErrMalformed)
	}
	return time.UnixMilli(int64(ms)).UTC(), nil
}

// appendSeen appends an address: family 1 (0 none, 4, 6), address 16 (an IPv4
// address first, then zeros), port 2.
func appendSeen(b []byte, a netip.AddrPort) []byte {
	var raw [seenSize]byte
	switch addr := a.Addr().Unmap(); {
	case addr.Is4():
		raw[0] = 4
		v4 := addr.As4()
		copy(raw[1:], v4[:])
	case addr.Is6():
		raw[0] = 6
		v6 := addr.As16()
		copy(raw[1:], v6[:])
	default:
		return append(b, raw[:]...)
	}
	binary.BigEndian.PutUint16(raw[17:], a.Port())
	return append(b, raw[:]...)
}

// parseSeen decodes the first 19 of b's bytes. What must be zero is checked.
func parseSeen(b []byte) (netip.AddrPort, error) {
	raw := [seenSize]byte(b[:seenSize])
	port := binary.BigEndian.Uint16(raw[17:])
	var a netip.AddrPort
	switch raw[0] {
	case 0:
	case 4:
		a = netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw[1:5])), port)
	case 6:
		a = netip.AddrPortFrom(netip.AddrFrom16([16]byte(raw[1:17])), port)
	}
	// One canonical form: what does not encode to the same bytes is refused, an
	// unknown family and an IPv4 address in IPv6 with it.
	if [seenSize]byte(appendSeen(nil, a)) != raw {
		return netip.AddrPort{}, fmt.Errorf("address as seen: %w", cell.ErrMalformed)
	}
	return a, nil
}

// appendPadding appends low 2 and high 2, milliseconds.
func appendPadding(b []byte, p Padding) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(p.Low.Milliseconds()))
	return binary.BigEndian.AppendUint16(b, uint16(p.High.Milliseconds()))
}

// parsePadding decodes the first 4 of b's bytes: low at most high, and both at
// most 60,000.
func parsePadding(b []byte) (Padding, error) {
	low, high := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	p := Padding{time.Duration(low) * time.Millisecond, time.Duration(high) * time.Millisecond}
	if p.Low > p.High || p.High > maxPadding {
		return Padding{}, fmt.Errorf("padding from %d to %d ms: %w", low, high, cell.ErrMalformed)
	}
	return p, nil
}
