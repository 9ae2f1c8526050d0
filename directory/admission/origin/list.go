package origin

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
)

var gzipMagic = []byte{0x1f, 0x8b}

func unpack(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	out, err := bounded(z)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return out, nil
}

// A span is a range of addresses that lie in one place.
type span struct {
	from, to netip.Addr // both in it
	place    Place
	line     int
}

// parseList reads a list of prefixes or ranges.
func parseList(b []byte) (func(netip.Addr) Place, error) {
	var spans []span
	countries := make(map[string]string) // one string for each, not one for each line
	number := 0
	for line := range bytes.Lines(b) {
		number++
		text, _, _ := strings.Cut(string(line), "#")
		fields := strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == '\t' || c == ',' || c == '\n' || c == '\r' })
		if len(fields) == 0 {
			continue
		}
		s, err := parseSpan(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if _, ok := countries[s.place.Country]; !ok {
			countries[s.place.Country] = strings.Clone(s.place.Country)
		}
		s.place.Country, s.line = countries[s.place.Country], number
		spans = append(spans, s)
	}
	if len(spans) == 0 {
		return nil, fmt.Errorf("%w: no entry", ErrMalformed)
	}
	flat, err := flatten(spans)
	if err != nil {
		return nil, err
	}
	return func(a netip.Addr) Place { return find(flat, a) }, nil
}

// parseSpan reads the fields of one line.
func parseSpan(fields []string) (s span, err error) {
	if p, err := netip.ParsePrefix(fields[0]); err == nil {
		s.from, s.to = p.Masked().Addr(), last(p)
		fields = fields[1:]
	} else if len(fields) > 1 {
		from, err1 := netip.ParseAddr(fields[0])
		to, err2 := netip.ParseAddr(fields[1])
		if err1 != nil || err2 != nil || from.Is4() != to.Is4() || to.Less(from) || from.Zone() != "" || to.Zone() != "" {
			return span{}, fmt.Errorf("%w: neither a prefix nor a range", ErrMalformed)
		}
		s.from, s.to = from, to
		fields = fields[2:]
	}
	if len(fields) == 0 || !s.from.IsValid() {
		return span{}, fmt.Errorf("%w: want PREFIX NUMBER [COUNTRY]", ErrMalformed)
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(fields[0], "AS"), 10, 32)
	if err != nil {
		return span{}, fmt.Errorf("%w: number of the autonomous system", ErrMalformed)
	}
	s.place.AS = uint32(n)
	if len(fields) > 1 && isCountry(fields[1]) {
		s.place.Country = fields[1]
	}
	return s, nil
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := range b {
		if from := p.Bits() - 8*i; from < 8 {
			b[i] |= byte(0xff >> max(0, from))
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// flatten turns spans that lie within one another into ones that do not, the
// inner before the outer; two that overlap otherwise are an error.
func flatten(spans []span) ([]span, error) {
	slices.SortStableFunc(spans, func(a, b span) int {
		return cmp.Or(a.from.Compare(b.from), b.to.Compare(a.to))
	})
	var flat, open []span
	var next netip.Addr // the first address that nothing in flat covers; invalid behind the last one
	emit := func(to netip.Addr, p Place) {
		if next.IsValid() && !to.Less(next) {
			flat = append(flat, span{from: next, to: to, place: p})
		}
	}
	pop := func() {
		top := open[len(open)-1]
		open = open[:len(open)-1]
		emit(top.to, top.place)
		next = top.to.Next()
	}
	for _, s := range spans {
		for len(open) > 0 && open[len(open)-1].to.Less(s.from) {
			pop()
		}
		if len(open) > 0 {
			top := open[len(open)-1]
			if top.to.Less(s.to) {
				return nil, fmt.Errorf("%w: lines %d and %d overlap", ErrMalformed, top.line, s.line)
			}
			emit(s.from.Prev(), top.place)
		}
		open, next = append(open, s), s.from
	}
	for len(open) > 0 {
		pop()
	}
	return flat, nil
}

// find returns the place of an address.
func find(flat []span, a netip.Addr) Place {
	i := sort.Search(len(flat), func(i int) bool { return !flat[i].to.Less(a) })
	if i == len(flat) || a.Less(flat[i].from) {
		return Place{}
	}
	return flat[i].place
}
