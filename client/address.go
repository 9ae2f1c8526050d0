package client

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"tunic/cell"
	"tunic/client/path"
	"tunic/directory"
)

const ( // RFC 1035; bytes
	maxName  = 253 // without the root's dot
	maxLabel = 63
)

// A target is a destination that has passed the client's checks.
type target struct {
	host  string // as BEGIN carries it
	port  uint16
	flags cell.BeginFlags
}

// need returns what an exit must serve.
func (t target) need() path.Need {
	n := path.Need{Port: t.port}
	a, err := netip.ParseAddr(t.host)
	switch {
	case err == nil && a.Is4(), err != nil && t.flags&cell.BeginNoIPv6 != 0:
		n.Family = path.IPv4
	case err == nil, t.flags&cell.BeginNoIPv4 != 0:
		n.Family = path.IPv6
	}
	return n
}

// checkTarget brings a request into the form that BEGIN carries, and refuses
// what no exit could mean the same thing by as the caller.
func checkTarget(r Request, private bool) (target, error) {
	host, err := checkHost(r.Host, private)
	if err != nil {
		return target{}, err
	}
	switch {
	case r.Port == 0:
		return target{}, &Error{NotAllowed, ErrBadPort}
	case !r.Flags.Valid():
		return target{}, &Error{NotAllowed, ErrBadHost}
	}
	return target{host, r.Port, r.Flags}, nil
}

// checkResolve does the same for a lookup. Whose name is wanted must be an address.
func checkResolve(r cell.ResolveRequest, private bool) (cell.ResolveRequest, error) {
	host, err := checkHost(r.Host, private)
	if err != nil {
		return cell.ResolveRequest{}, err
	}
	if _, err := netip.ParseAddr(host); r.Reverse && err != nil {
		return cell.ResolveRequest{}, &Error{NotAllowed, ErrBadHost}
	}
	r.Host = host
	return r, nil
}

// checkHost returns a host's one form: an address as netip writes it, without
// brackets, or a name in lower case without the last dot. private says that
// the network allows private addresses.
func checkHost(host string, private bool) (string, error) {
	bare := host
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		bare = host[1 : n-1]
	}
	if a, err := netip.ParseAddr(bare); err == nil {
		return checkAddr(a, bare != host, private)
	}
	return checkName(host, private)
}

// checkAddr refuses addresses that mean something else at the exit.
func checkAddr(a netip.Addr, brackets, private bool) (string, error) {
	if a.Zone() != "" || brackets && a.Is4() {
		return "", &Error{NotAllowed, ErrBadHost}
	}
	if a = a.Unmap(); !private && directory.Private(a) {
		return "", &Error{NotAllowed, ErrPrivate}
	}
	return a.String(), nil
}

// checkName refuses what is no host name, numbers in disguise among it, and
// names that belong to this machine's network or to none.
func checkName(name string, private bool) (string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if len(name) < 1 || len(name) > maxName {
		return "", &Error{NotAllowed, ErrBadHost}
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if len(label) < 1 || len(label) > maxLabel || strings.ContainsFunc(label, notOfName) {
			return "", &Error{NotAllowed, ErrBadHost}
		}
		last = label
	}
	switch {
	case number(last): // 127.1, 0x7f000001: an address to some resolvers, a name to others
		return "", &Error{NotAllowed, ErrBadHost}
	case last == "onion" || last == "invalid" || last == "alt": // RFC 7686, 6761, 9476: never asked of the DNS
		return "", &Error{HostUnreachable, ErrNoName}
	case !private && (last == "localhost" || last == "local" || last == "internal"): // RFC 6761, 6762, ICANN
		return "", &Error{NotAllowed, ErrPrivate}
	}
	return name, nil
}

func notOfName(r rune) bool {
	return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_')
}

// number reports whether a name's last label makes it an address by the rules
// of URLs: digits, or hexadecimal behind 0x.
func number(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return !strings.ContainsFunc(hex, func(r rune) bool { return !('0' <= r && r <= '9' || 'a' <= r && r <= 'f') })
	}
	return !strings.ContainsFunc(label, func(r rune) bool { return r < '0' || r > '9' })
}

// parseAddress reads what [net.Dialer] takes: a network and host:port.
func parseAddress(network, address string) (Request, error) {
	var r Request
	switch network {
	case "tcp":
	case "tcp4":
		r.Flags = cell.BeginNoIPv6
	case "tcp6":
		r.Flags = cell.BeginNoIPv4
	default:
		return r, &Error{NotAllowed, net.UnknownNetworkError(network)}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil { // which would show the address
		return r, &Error{NotAllowed, ErrBadHost}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return r, &Error{NotAllowed, ErrBadPort}
	}
	r.Host, r.Port = host, uint16(n)
	return r, nil
}
