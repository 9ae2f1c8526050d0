package directory

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"tunic/directory/keys"
)

// maxLine is the longest line of a document without its end: the peaks of a
// log of 2⁶³ leaves, with room. Fixed by docs/protocol.md, "Documents".
const maxLine = 4096

// A reader takes a document apart line by line. The first line that does not
// fit spoils it: every later call returns zeros, and err says which line it
// was. It never echoes what it read: documents name relays and their addresses.
type reader struct {
	rest string // what is not read yet
	line int    // number of the line read last, from 1
	err  error
}

// fail spoils r with an error about the field called what.
func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("line %d: %s: %w", r.line, what, ErrMalformed)
		r.rest = ""
	}
}

// check spoils r if err is not nil.
func (r *reader) check(err error, what string) {
	if err != nil {
		r.fail(what)
	}
}

// at reports whether the next line has that keyword.
func (r *reader) at(keyword string) bool {
	rest, ok := strings.CutPrefix(r.rest, keyword)
	return ok && rest != "" && (rest[0] == ' ' || rest[0] == '\n')
}

// take reads the next line, which must have that keyword, and returns what
// follows the space behind it: "" for a keyword alone.
func (r *reader) take(keyword string) string {
	r.line++
	if !r.at(keyword) {
		r.fail("want " + keyword)
		return ""
	}
	end := strings.IndexByte(r.rest[:min(len(r.rest), maxLine+1)], '\n')
	if end < 0 {
		r.fail(keyword + ": line too long or without end")
		return ""
	}
	line := r.rest[:end]
	r.rest = r.rest[end+1:]
	if len(line) == len(keyword) {
		return ""
	}
	args := line[len(keyword)+1:]
	if args == "" {
		r.fail(keyword + ": space at the end")
	}
	return args
}

// block reads the next n bytes, whatever they are.
func (r *reader) block(n uint64, what string) string {
	if n > uint64(len(r.rest)) {
		r.fail(what + ": cut short")
		return ""
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	r.line += strings.Count(b, "\n")
	return b
}

// done returns the error that spoiled r, or one if anything is left.
func (r *reader) done() error {
	if r.err == nil && r.rest != "" {
		r.line++
		r.fail("more than the document")
	}
	return r.err
}

// Fields of one line, whose arguments are split by single spaces.

// split returns exactly n arguments; n strings even when r is spoiled.
func (r *reader) split(args string, n int, keyword string) []string {
	fields := make([]string, n)
	for i := range fields {
		field, rest, more := strings.Cut(args, " ")
		if field == "" || more != (i < n-1) {
			r.fail(keyword)
			return make([]string, n)
		}
		fields[i], args = field, rest
	}
	return fields
}

func (r *reader) two(args, keyword string) (a, b string) {
	a, b, ok := strings.Cut(args, " ")
	if !ok || a == "" || b == "" || strings.IndexByte(b, ' ') >= 0 {
		r.fail(keyword)
		return "", ""
	}
	return a, b
}

func (r *reader) uint(s string, max uint64, keyword string) uint64 {
	n, err := parseUint(s, max)
	r.check(err, keyword)
	return n
}

func (r *reader) time(s, keyword string) time.Time {
	t, err := parseTime(s)
	r.check(err, keyword)
	return t
}

func (r *reader) date(s, keyword string) time.Time {
	t, err := parseDate(s)
	r.check(err, keyword)
	return t
}

// binary reads len(dst) bytes of base64url.
func (r *reader) binary(dst []byte, s, keyword string) {
	r.check(decode64(dst, s), keyword)
}

// digest reads a digest, or "none" for the zero one.
func (r *reader) digest(s, keyword string) Digest {
	d, err := parseDigest(s)
	r.check(err, keyword)
	return d
}

// optional reads the line of a number that is not 0, if it is there.
func (r *reader) optional(keyword string, max uint64) uint64 {
	if !r.at(keyword) {
		return 0
	}
	n := r.uint(r.take(keyword), max, keyword)
	if n == 0 {
		r.fail(keyword)
	}
	return n
}

// optionalDigest reads the line of a digest that is not zero, if it is there.
func (r *reader) optionalDigest(keyword string) (d Digest) {
	if r.at(keyword) {
		r.binary(d[:], r.take(keyword), keyword)
		if d.IsZero() {
			r.fail(keyword)
		}
	}
	return d
}

// text reads free text of 1 to max printable characters.
func (r *reader) text(s string, max int, keyword string) string {
	if !isText(s, max) {
		r.fail(keyword)
		return ""
	}
	return cloned(s)
}

// addresses reads the address lines of a relay.
func (r *reader) addresses() []netip.AddrPort {
	var addrs []netip.AddrPort
	for len(addrs) == 0 || len(addrs) < 2 && r.at("address") {
		a, err := parseAddr(r.take("address"))
		r.check(err, "address")
		addrs = append(addrs, a)
	}
	if r.err == nil && !validRelayAddrs(addrs) {
		r.fail("address")
	}
	return addrs
}

func (r *reader) versions(s string) Versions {
	v, err := ParseVersions(s)
	r.check(err, "versions")
	return v
}

// ports reads the line of a summary, if it is there.
func (r *reader) ports(keyword string) PortSummary {
	if !r.at(keyword) {
		return PortSummary{}
	}
	s, err := ParsePortSummary(r.take(keyword))
	if err != nil || s.Empty() {
		r.fail(keyword)
	}
	return s
}

func (r *reader) flags(keyword string) Flags {
	f, err := ParseFlags(r.take(keyword))
	r.check(err, keyword)
	return f
}

// families reads 1 to MaxFamilies digests in ascending order.
func (r *reader) families(args string) []Digest {
	list := make([]Digest, 0, 1)
	for more := true; more; {
		var field string
		field, args, more = strings.Cut(args, " ")
		var d Digest
		r.binary(d[:], field, "family")
		if len(list) == MaxFamilies {
			r.fail("family")
			return nil
		}
		list = append(list, d)
	}
	if !strictly(list, compareDigest) {
		r.fail("family")
	}
	return list
}

func (r *reader) certificate(s, keyword string) keys.Certificate {
	var b [keys.CertificateSize]byte
	r.binary(b[:], s, keyword)
	if r.err != nil {
		return keys.Certificate{}
	}
	c, err := keys.ParseCertificate(b[:])
	r.check(err, keyword)
	return c
}

// cloned copies a field, so that the document does not stay in memory for it.
func cloned(s string) string { return strings.Clone(s) }
