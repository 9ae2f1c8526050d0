package directory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A PortRange is the ports from First to Last, 1 ≤ First ≤ Last.
type PortRange struct{ First, Last uint16 }

// AllPorts is every port there is.
var AllPorts = PortRange{1, 65535}

// Contains reports whether port is in the range.
func (r PortRange) Contains(port uint16) bool { return r.First <= port && port <= r.Last }

func (r PortRange) valid() bool { return 1 <= r.First && r.First <= r.Last }

func (r PortRange) appendTo(b []byte) []byte {
	if r == AllPorts {
		return append(b, '*')
	}
	b = strconv.AppendUint(b, uint64(r.First), 10)
	if r.Last != r.First {
		b = strconv.AppendUint(append(b, '-'), uint64(r.Last), 10)
	}
	return b
}

// String returns the range as policies write it: *, PORT or FIRST-LAST.
func (r PortRange) String() string { return string(r.appendTo(nil)) }

// parsePorts reads *, PORT or FIRST-LAST.
func parsePorts(s string) (PortRange, error) {
	if s == "*" {
		return AllPorts, nil
	}
	first, last, pair := strings.Cut(s, "-")
	if !pair {
		last = first
	}
	f, err1 := parseUint(first, 65535)
	l, err2 := parseUint(last, 65535)
	r := PortRange{uint16(f), uint16(l)}
	if err1 != nil || err2 != nil || !r.valid() {
		return PortRange{}, fmt.Errorf("%w: ports", ErrMalformed)
	}
	return r, nil
}

// A PortSummary is a set of ports as sorted ranges that neither touch nor
// overlap. The zero PortSummary is empty. It is not changed once made.
type PortSummary struct{ ranges []PortRange }

// ParsePortSummary reads what String returns.
func ParsePortSummary(s string) (PortSummary, error) {
	if s == "-" {
		return PortSummary{}, nil
	}
	var p PortSummary
	for more := true; more; {
		var field string
		field, s, more = strings.Cut(s, ",")
		r, err := parsePorts(field)
		if err != nil || len(p.ranges) == MaxPortRanges || r.String() != field {
			return PortSummary{}, fmt.Errorf("%w: summary of ports", ErrMalformed)
		}
		if n := len(p.ranges); n > 0 && int(r.First) <= int(p.ranges[n-1].Last)+1 {
			return PortSummary{}, fmt.Errorf("%w: summary of ports not in order", ErrMalformed)
		}
		p.ranges = append(p.ranges, r)
	}
	return p, nil
}

// String returns the ranges separated by commas, such as 80,443,8000-8100; *
// is all ports and - none.
func (s PortSummary) String() string { return string(s.appendTo(nil)) }

func (s PortSummary) appendTo(b []byte) []byte {
	if s.Empty() {
		return append(b, '-')
	}
	for i, r := range s.ranges {
		if i > 0 {
			b = append(b, ',')
		}
		b = r.appendTo(b)
	}
	return b
}

// Allows reports whether port is in the set.
func (s PortSummary) Allows(port uint16) bool {
	i, found := slices.BinarySearchFunc(s.ranges, port, func(r PortRange, port uint16) int {
		return int(r.First) - int(port)
	})
	return found || i > 0 && s.ranges[i-1].Contains(port)
}

// Empty reports whether no port is in the set.
func (s PortSummary) Empty() bool { return len(s.ranges) == 0 }

// Equal reports whether the sets are the same.
func (s PortSummary) Equal(o PortSummary) bool { return slices.Equal(s.ranges, o.ranges) }

// add puts r behind the ranges, and joins it with the last if they touch.
func (s *PortSummary) add(r PortRange) {
	if n := len(s.ranges); n > 0 && int(s.ranges[n-1].Last)+1 == int(r.First) {
		s.ranges[n-1].Last = r.Last
		return
	}
	s.ranges = append(s.ranges, r)
}
