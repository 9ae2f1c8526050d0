package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// resolvers are name servers on loopback, one for each relay, so that a query
// tells which relay made it.
type resolvers struct {
	addrs map[string]netip.AddrPort // by relay

	mu    sync.Mutex
	asked map[string][]string // relays by name asked for
}

func startResolvers(t *testing.T, relays int) *resolvers {
	t.Helper()
	r := &resolvers{addrs: map[string]netip.AddrPort{}, asked: map[string][]string{}}
	for i := range relays {
		name := fmt.Sprintf("relay%d", i+1)
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		r.addrs[name] = conn.LocalAddr().(*net.UDPAddr).AddrPort()
		srv := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { r.answer(name, w, q) })}
		var wg sync.WaitGroup
		wg.Go(func() { srv.ActivateAndServe() })
		t.Cleanup(func() { srv.Shutdown(); conn.Close(); wg.Wait() })
	}
	return r
}

// answer says that every name is 127.0.0.1, but that nothing is below
// nowhere.example.
func (r *resolvers) answer(relay string, w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	if len(q.Question) == 1 {
		name := q.Question[0].Name
		r.mu.Lock()
		if lower := dns.CanonicalName(name); !slices.Contains(r.asked[lower], relay) {
			r.asked[lower] = append(r.asked[lower], relay)
		}
		r.mu.Unlock()
		switch {
		case dns.IsSubDomain("nowhere.example.", dns.CanonicalName(name)):
			m.Rcode = dns.RcodeNameError
		case q.Question[0].Qtype == dns.TypeA:
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(127, 0, 0, 1)})
		}
	}
	w.WriteMsg(m)
}

// askedFor returns the relays that asked for a name.
func (r *resolvers) askedFor(name string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked[name])
}

// plan gives each relay its own resolver.
func (r *resolvers) plan() map[string][]netip.AddrPort {
	m := map[string][]netip.AddrPort{}
	for name, a := range r.addrs {
		m[name] = []netip.AddrPort{a}
	}
	return m
}
