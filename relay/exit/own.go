package exit

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const interfacesFor = time.Minute // our choice: how long the list of interface addresses is believed

// ownAddrs knows the addresses of this machine.
type ownAddrs struct {
	listen func() []netip.Addr // those that the relay itself names; may be nil

	mu         sync.Mutex // guards what follows
	interfaces []netip.Addr
	read       time.Time
}

// has reports whether a is one of them.
func (o *ownAddrs) has(a netip.Addr, now time.Time) bool {
	if o.listen != nil && slices.Contains(o.listen(), a) {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.read.IsZero() || now.Sub(o.read) > interfacesFor {
		o.read = now
		if list, err := interfaceAddrs(); err == nil {
			o.interfaces = list
		}
	}
	return slices.Contains(o.interfaces, a)
}

func interfaceAddrs() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	out := make([]netip.Addr, 0, len(list))
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, addr.Unmap())
			}
		}
	}
	return out, nil
}
