package exit

import (
	"net/netip"
	"strings"

	"tunic/cell"
)

const ( // fixed by RFC 1035, section 2.3.4; bytes
	maxName  = 253
	maxLabel = 63
)

// A hostKind says how a destination is looked up.
type hostKind uint8

const (
	hostName    hostKind = iota // by DNS
	hostAddress                 // it is one
	hostLocal                   // localhost and below it: answered here (RFC 6761)
	hostNowhere                 // a name that DNS has no answer for, by its form
)

// classify says what kind of destination host is, and returns the address that
// it writes or the name to look up, lower case and without a final dot.
// Addresses with a zone name an interface of this machine and lead nowhere. So
// do names that end in a number: the system's resolver would read "127.1" and
// "0x7f000001" as addresses, and no name of the DNS looks like that.
func classify(host string) (hostKind, netip.Addr, string) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		if a.Zone() != "" {
			return hostNowhere, netip.Addr{}, ""
		}
		return hostAddress, a.Unmap(), ""
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if !validName(name) {
		return hostNowhere, netip.Addr{}, ""
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch last {
	case "localhost":
		return hostLocal, netip.Addr{}, name
	case "onion", "invalid", "alt": // RFC 7686, 6761, 9476: never asked of the DNS
		return hostNowhere, netip.Addr{}, ""
	}
	if endsInNumber(last) {
		return hostNowhere, netip.Addr{}, ""
	}
	return hostName, netip.Addr{}, name
}

// validName reports whether name, without a final dot, can be asked of the DNS:
// labels of 1 to 63 letters, digits, hyphens and underscores.
func validName(name string) bool {
	if len(name) == 0 || len(name) > maxName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > maxLabel {
			return false
		}
		for _, c := range []byte(label) {
			switch {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
}

// endsInNumber reports whether a last label is a number as inet_aton reads
// them: digits, or 0x and hexadecimal digits.
func endsInNumber(label string) bool {
	digits := "0123456789"
	if rest, ok := strings.CutPrefix(label, "0x"); ok {
		label, digits = rest, "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}

// wanted reports whether the client wants addresses of the family of a.
func wanted(a netip.Addr, flags cell.BeginFlags) bool {
	if a.Is4() {
		return flags&cell.BeginNoIPv4 == 0
	}
	return flags&cell.BeginNoIPv6 == 0
}
