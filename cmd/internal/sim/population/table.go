package population

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"tunic/directory"
)

// ErrTable is in the chain of every error about a table's content.
var ErrTable = errors.New("not a table of relays")

const ( // our choice
	maxTable = 256 << 20 // bytes, unpacked
	maxLine  = 1 << 20
)

// columns that a table has to have, by their place in a record.
var columns = []string{"fingerprint", "nickname", "ipv4", "orport", "ipv6", "flags", "weight", "unmeasured", "version", "exitports", "family"}

// A row is a line of a table, field by field.
type row struct {
	fingerprint, nickname, ipv4, orport, ipv6, flags, weight, unmeasured, version, exitports, family string
}

// readTable returns the relays of a table in the order of their identities, and
// the fingerprints that each claims as its family.
func readTable(packed []byte) ([]Relay, []string, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrTable, err)
	}
	in := bufio.NewScanner(io.LimitReader(z, maxTable))
	in.Buffer(nil, maxLine)
	if !in.Scan() {
		return nil, nil, fmt.Errorf("%w: no header", ErrTable)
	}
	place, err := header(in.Text())
	if err != nil {
		return nil, nil, err
	}
	var relays []Relay
	var prints []string
	claims := map[string]string{}
	for line := 2; in.Scan(); line++ {
		r, err := fields(in.Text(), place)
		if err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", line, err)
		}
		relay, err := r.relay()
		if err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", line, err)
		}
		if _, twice := claims[r.fingerprint]; twice {
			return nil, nil, fmt.Errorf("line %d: %w: a fingerprint stands there twice", line, ErrTable)
		}
		relays, prints = append(relays, relay), append(prints, r.fingerprint)
		claims[r.fingerprint] = r.family
	}
	if err := in.Err(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrTable, err)
	}
	if len(relays) > directory.MaxRelays {
		return nil, nil, fmt.Errorf("%w: %d relays, more than %d", ErrTable, len(relays), directory.MaxRelays)
	}
	groupFamilies(relays, prints, claims)
	return relays, prints, nil
}

// header returns at which place of a line each of the columns is.
func header(line string) ([]int, error) {
	names := strings.Split(line, "\t")
	place := make([]int, len(columns))
	for i, c := range columns {
		if place[i] = slices.Index(names, c); place[i] < 0 {
			return nil, fmt.Errorf("%w: no column %s", ErrTable, c)
		}
	}
	return place, nil
}

func fields(line string, place []int) (r row, err error) {
	parts := strings.Split(line, "\t")
	for i, to := range []*string{&r.fingerprint, &r.nickname, &r.ipv4, &r.orport, &r.ipv6, &r.flags, &r.weight,
		&r.unmeasured, &r.version, &r.exitports, &r.family} {
		if place[i] >= len(parts) {
			return r, fmt.Errorf("%w: %d fields", ErrTable, len(parts))
		}
		*to = parts[place[i]]
	}
	return r, nil
}

// relay turns a line into a relay. Its family is found later.
func (r row) relay() (Relay, error) {
	addr, err := netip.ParseAddr(r.ipv4)
	if err != nil || !addr.Is4() {
		return Relay{}, fmt.Errorf("%w: address", ErrTable)
	}
	port, err := strconv.ParseUint(r.orport, 10, 16)
	if err != nil {
		return Relay{}, fmt.Errorf("%w: port", ErrTable)
	}
	weight, err := strconv.ParseUint(r.weight, 10, 63)
	if err != nil {
		return Relay{}, fmt.Errorf("%w: weight", ErrTable)
	}
	relay := Relay{ID: identity(r.fingerprint), Nickname: r.nickname, Version: r.version,
		Addrs: []netip.AddrPort{netip.AddrPortFrom(addr, uint16(port))}, Weight: min(weight, directory.MaxWeight), Family: -1}
	if six, err := netip.ParseAddr(r.ipv6); err == nil && six.Is6() {
		relay.Addrs = append(relay.Addrs, netip.AddrPortFrom(six, uint16(port)))
	}
	bad := false
	for _, name := range strings.Split(r.flags, ",") {
		f, err := directory.ParseFlags(name)
		if err == nil {
			relay.Flags |= f
		}
		bad = bad || name == "BadExit"
		relay.V2Dir = relay.V2Dir || name == "V2Dir"
	}
	if bad {
		relay.Flags &^= directory.Exit
		return relay, nil
	}
	relay.Ports, err = exitPorts(r.exitports)
	return relay, err
}

// exitPorts reads Tor's summary of an exit policy.
func exitPorts(s string) (directory.PortSummary, error) {
	if s == "-" || s == "?" {
		return directory.PortSummary{}, nil
	}
	kind, list, _ := strings.Cut(s, " ")
	var ranges []directory.PortRange
	for _, field := range strings.Split(list, ",") {
		first, last, pair := strings.Cut(field, "-")
		if !pair {
			last = first
		}
		f, err1 := strconv.ParseUint(first, 10, 16)
		l, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || f < 1 || l < f {
			return directory.PortSummary{}, fmt.Errorf("%w: exit ports", ErrTable)
		}
		ranges = append(ranges, directory.PortRange{First: uint16(f), Last: uint16(l)})
	}
	switch kind {
	case "accept":
		return summary(ranges)
	case "reject":
		return summary(others(ranges))
	}
	return directory.PortSummary{}, fmt.Errorf("%w: exit ports", ErrTable)
}

// others returns the ports outside ranges.
func others(ranges []directory.PortRange) (rest []directory.PortRange) {
	next := 1
	for _, r := range sorted(ranges) {
		if int(r.First) > next {
			rest = append(rest, directory.PortRange{First: uint16(next), Last: r.First - 1})
		}
		next = max(next, int(r.Last)+1)
	}
	if next <= 65535 {
		rest = append(rest, directory.PortRange{First: uint16(next), Last: 65535})
	}
	return rest
}

func sorted(ranges []directory.PortRange) []directory.PortRange {
	return slices.SortedFunc(slices.Values(ranges), func(a, b directory.PortRange) int { return cmp.Compare(a.First, b.First) })
}

// summary joins ranges that touch or overlap. Of more ranges than a summary
// holds the last are left out.
func summary(ranges []directory.PortRange) (directory.PortSummary, error) {
	var joined []directory.PortRange
	for _, r := range sorted(ranges) {
		if n := len(joined); n > 0 && int(r.First) <= int(joined[n-1].Last)+1 {
			joined[n-1].Last = max(joined[n-1].Last, r.Last)
			continue
		}
		joined = append(joined, r)
	}
	if len(joined) == 0 {
		return directory.PortSummary{}, nil
	}
	parts := make([]string, 0, len(joined))
	for _, r := range joined[:min(len(joined), directory.MaxPortRanges)] {
		parts = append(parts, r.String())
	}
	return directory.ParsePortSummary(strings.Join(parts, ","))
}

// groupFamilies puts relays into one family that claim each other, directly or
// through others.
func groupFamilies(relays []Relay, prints []string, claims map[string]string) {
	index := make(map[string]int32, len(prints))
	for i, p := range prints {
		index[p] = int32(i)
	}
	parent := make([]int32, len(prints))
	for i := range parent {
		parent[i] = int32(i)
	}
	root := func(i int32) int32 {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	claimed := make([][]string, len(prints))
	for i, p := range prints {
		claimed[i] = strings.Split(claims[p], ",")
	}
	for i, mine := range claimed {
		for _, other := range mine {
			j, listed := index[other]
			if listed && int32(i) < j && slices.Contains(claimed[j], prints[i]) {
				parent[root(j)] = root(int32(i))
			}
		}
	}
	size := map[int32]int{}
	for i := range relays {
		size[root(int32(i))]++
	}
	for i := range relays {
		if r := root(int32(i)); size[r] > 1 {
			relays[i].Family = r
		}
	}
}

func digest(b []byte) [32]byte { return sha256.Sum256(b) }
