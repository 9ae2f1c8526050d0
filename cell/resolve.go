package cell

import (
	"fmt"
	"net/netip"
)

// A ResolveRequest is the data of RESOLVE: kind 1 (0 a name, 1 an address whose
// name is wanted), host length 1, host.
type ResolveRequest struct {
	Reverse bool   // Host is an address, in the form that netip.Addr's String gives
	Host    string // as in [BeginRequest]
}

// The kinds of RESOLVE.
const (
	resolveName    = 0
	resolveReverse = 1
)

// ParseResolve decodes the data of RESOLVE. The result does not alias b.
func ParseResolve(b []byte) (ResolveRequest, error) {
	if len(b) < 1 {
		return ResolveRequest{}, fmt.Errorf("RESOLVE of 0 bytes: %w", ErrMalformed)
	}
	if b[0] != resolveName && b[0] != resolveReverse {
		return ResolveRequest{}, fmt.Errorf("RESOLVE of kind %d: %w", b[0], ErrMalformed)
	}
	host, rest, err := takeHost(b[1:])
	if err != nil {
		return ResolveRequest{}, fmt.Errorf("RESOLVE: %w", err)
	}
	if len(rest) != 0 {
		return ResolveRequest{}, fmt.Errorf("RESOLVE with %d bytes too many: %w", len(rest), ErrMalformed)
	}
	r := ResolveRequest{Reverse: b[0] == resolveReverse, Host: host}
	if err := r.check(); err != nil {
		return ResolveRequest{}, err
	}
	return r, nil
}

func (r ResolveRequest) check() error {
	if err := checkHost(r.Host); err != nil {
		return fmt.Errorf("RESOLVE: %w", err)
	}
	if !r.Reverse {
		return nil
	}
	a, err := netip.ParseAddr(r.Host)
	if err != nil || checkAddr(a) != nil || a.String() != r.Host { // err itself would show the host
		return fmt.Errorf("RESOLVE for the name of no address: %w", ErrMalformed)
	}
	return nil
}

// AppendBinary encodes r behind b. It refuses what [ParseResolve] would refuse.
func (r ResolveRequest) AppendBinary(b []byte) ([]byte, error) {
	if err := r.check(); err != nil {
		return b, err
	}
	kind := byte(resolveName)
	if r.Reverse {
		kind = resolveReverse
	}
	return appendHost(append(b, kind), r.Host), nil
}
