package exit

import (
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const ( // our choice
	maxServers    = 3                // as the system's resolver takes from its file
	recheckAfter  = 10 * time.Second // how often the resolver file's time stamp is looked at
	dnsPort       = 53
	maxConfigSize = 1 << 20 // bytes of a resolver file; a larger one is not a resolver file
)

// servers is the list of recursive resolvers to ask: fixed, or the one in a
// resolver file, which is read again when it changes.
type servers struct {
	fixed []netip.AddrPort
	path  string

	mu      sync.Mutex // guards what follows
	list    []netip.AddrPort
	checked time.Time
	stamp   time.Time
}

// current returns the resolvers in the order in which they are asked; nil when
// there is none. The slice is not changed later.
func (s *servers) current(now time.Time) []netip.AddrPort {
	if len(s.fixed) > 0 {
		return s.fixed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.checked.IsZero() && now.Sub(s.checked) < recheckAfter {
		return s.list
	}
	s.checked = now
	st, err := os.Stat(s.path)
	if err != nil || st.Size() > maxConfigSize || st.ModTime().Equal(s.stamp) {
		return s.list // a file being replaced keeps the list that we have
	}
	conf, err := dns.ClientConfigFromFile(s.path)
	if err != nil {
		return s.list
	}
	s.stamp, s.list = st.ModTime(), nil
	for _, text := range conf.Servers {
		a, err := netip.ParseAddr(text)
		if err == nil && len(s.list) < maxServers {
			s.list = append(s.list, netip.AddrPortFrom(a, dnsPort))
		}
	}
	return s.list
}
