package exit

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const ( // our choice
	maxAliases = 8  // CNAMEs followed for one lookup, over all answers: real chains have at most four or five
	maxAnswers = 16 // records kept of one answer: what a RESOLVED message holds (docs/protocol.md, "Resolving")
	maxRecords = 64 // records of an answer that are looked at: a UDP answer of 1,232 bytes holds some 70
)

var (
	errNotOurs = errors.New("reply does not belong to the query")
	errCase    = errors.New("reply spells the name another way")
	errRefuses = errors.New("server refuses the form of the query")
)

// checkReply says whether r answers q. A client library compares the id alone,
// and an id is guessed in 65,536 packets; here the name's random spelling, its
// type and its class have to come back as well. errCase means that all but the
// spelling fits: some servers rewrite it, so that is asked again over TCP.
// errRefuses means that the server did not understand the query at all.
func checkReply(q, r *dns.Msg) error {
	if r == nil || !r.Response || r.Id != q.Id || r.Opcode != dns.OpcodeQuery {
		return errNotOurs
	}
	if len(r.Question) == 0 && (r.Rcode == dns.RcodeFormatError || r.Rcode == dns.RcodeNotImplemented) {
		return errRefuses
	}
	if len(r.Question) != 1 {
		return errNotOurs
	}
	asked, told := q.Question[0], r.Question[0]
	switch {
	case asked.Qtype != told.Qtype || asked.Qclass != told.Qclass,
		dns.CanonicalName(asked.Name) != dns.CanonicalName(told.Name):
		return errNotOurs
	case asked.Name != told.Name:
		return errCase
	case r.Rcode == dns.RcodeFormatError || r.Rcode == dns.RcodeNotImplemented:
		return errRefuses
	}
	return nil
}

// records is what an answer says about one name and type.
type records struct {
	addrs []netip.Addr
	names []string
	alias string        // where the chain of aliases ended, canonical, with its final dot
	links int           // how many aliases that took
	ttl   time.Duration // the least of all records used
}

// read collects from r the records of name (canonical, with its final dot) and
// of the given type, following aliases in any order. Records of other owners,
// types and classes are ignored: only what was asked is believed. links is the
// number of aliases that were followed before.
func read(r *dns.Msg, name string, qtype uint16, links int) records {
	answer := r.Answer[:min(len(r.Answer), maxRecords)]
	out := records{alias: name, links: links, ttl: maxTTL}
	for out.links < maxAliases {
		next := alias(answer, &out)
		if next == "" {
			break
		}
		out.alias, out.links = next, out.links+1
	}
	for _, rr := range answer {
		h := rr.Header()
		if h.Class != dns.ClassINET || h.Rrtype != qtype || dns.CanonicalName(h.Name) != out.alias {
			continue
		}
		if len(out.addrs)+len(out.names) == maxAnswers {
			break
		}
		if out.add(rr) {
			out.ttl = min(out.ttl, time.Duration(h.Ttl)*time.Second)
		}
	}
	return out
}

// alias returns the canonical name that out.alias is an alias of, or "".
func alias(answer []dns.RR, out *records) string {
	for _, rr := range answer {
		c, ok := rr.(*dns.CNAME)
		if !ok || c.Hdr.Class != dns.ClassINET || dns.CanonicalName(c.Hdr.Name) != out.alias {
			continue
		}
		target := dns.CanonicalName(c.Target)
		if target == out.alias || !validName(strings.TrimSuffix(target, ".")) {
			continue
		}
		out.ttl = min(out.ttl, time.Duration(c.Hdr.Ttl)*time.Second)
		return target
	}
	return ""
}

// add takes the value of rr, unless it makes no sense or is there already.
func (out *records) add(rr dns.RR) bool {
	switch rr := rr.(type) {
	case *dns.A:
		a, ok := netip.AddrFromSlice(rr.A.To4())
		return ok && out.addAddr(a)
	case *dns.AAAA:
		a, ok := netip.AddrFromSlice(rr.AAAA.To16())
		return ok && out.addAddr(a.Unmap())
	case *dns.PTR:
		name := strings.TrimSuffix(dns.CanonicalName(rr.Ptr), ".")
		if !validName(name) {
			return false
		}
		for _, n := range out.names {
			if n == name {
				return false
			}
		}
		out.names = append(out.names, name)
		return true
	}
	return false
}

func (out *records) addAddr(a netip.Addr) bool {
	for _, b := range out.addrs {
		if a == b {
			return false
		}
	}
	out.addrs = append(out.addrs, a)
	return true
}

// absenceTTL is how long the answer r that there is nothing holds: what the
// zone's SOA record says (RFC 2308), within our bounds.
func absenceTTL(r *dns.Msg) time.Duration {
	ttl := defaultAbsence
	for _, rr := range r.Ns[:min(len(r.Ns), maxRecords)] {
		if soa, ok := rr.(*dns.SOA); ok {
			ttl = time.Duration(min(soa.Hdr.Ttl, soa.Minttl)) * time.Second
			break
		}
	}
	return min(max(ttl, minAbsence), maxAbsence)
}
