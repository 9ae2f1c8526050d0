package exit

import (
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"tunic/cell"
)

// Whatever a name server sends, an accepted reply belongs to the query, and
// what is read from it is bounded and in canonical form.
func FuzzReply(f *testing.F) {
	q := newQuery("www.example", dns.TypeA, true)
	q.Id, q.Question[0].Name = 0x1234, "wWw.exAmple."
	for _, lines := range [][]string{
		{"www.example. 60 IN A 192.0.2.1"},
		{"www.example. 60 IN CNAME a.example.", "a.example. 60 IN A 192.0.2.2"},
		{"www.example. 60 IN PTR b.example."},
		{},
	} {
		b, err := fromZone(q, lines...).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cutOff(b, q)
		m := new(dns.Msg)
		if m.Unpack(b) != nil {
			return
		}
		switch err := checkReply(q, m); {
		case errors.Is(err, errNotOurs), errors.Is(err, errRefuses):
			return
		case m.Id != q.Id || !m.Response || len(m.Question) != 1 || !strings.EqualFold(m.Question[0].Name, q.Question[0].Name):
			t.Fatalf("accepted %v", m)
		}
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypePTR} {
			out := read(m, "www.example.", qtype, 0)
			if len(out.addrs)+len(out.names) > maxAnswers || out.links > maxAliases || out.ttl < 0 || out.ttl > maxTTL {
				t.Fatalf("read %+v", out)
			}
			for _, a := range out.addrs {
				if a.Is4In6() || a.Is4() != (qtype == dns.TypeA) && !a.Is4() {
					t.Fatalf("address %v for type %d", a, qtype)
				}
			}
			for _, n := range out.names {
				r := cell.ResolvedReply{Answers: []cell.Answer{{Kind: cell.AnswerName, Name: n}}}
				if _, err := r.AppendBinary(nil); err != nil {
					t.Fatalf("name %q does not encode: %v", n, err)
				}
			}
		}
		absenceTTL(m)
	})
}

// Whatever a client asks for has one meaning, and a name to be looked up can
// be asked of the DNS.
func FuzzClassify(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "[::1]", "www.example", "localhost", "127.1", "a..b", "fe80::1%lo"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		kind, addr, name := classify(host)
		switch kind {
		case hostAddress:
			if !addr.IsValid() || addr.Is4In6() || addr.Zone() != "" {
				t.Fatalf("address %v", addr)
			}
		case hostName, hostLocal:
			if _, err := newQuery(name, dns.TypeA, true).Pack(); err != nil {
				t.Fatalf("name %q does not pack: %v", name, err)
			}
		case hostNowhere:
			if addr.IsValid() || name != "" {
				t.Fatalf("nowhere, but %v, %q", addr, name)
			}
		}
	})
}
