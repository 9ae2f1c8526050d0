package detect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tunic/directory"
	"tunic/directory/rules"
)

// A trait is something of a relay's make that two relays may have equal.
type trait int

// The traits.
const (
	byVersion trait = iota
	byPolicy
	byContact
	byPort
	byRate
	byNickname
	byAS
	byRange // IPv4 /24, IPv6 /48
	bySubnet
	traits
)

// weight is what a bit of surprise of each trait counts: less where traits hang
// together, as version and policy do in what packages install.
var weight = [traits]float64{
	byVersion: 0.5, byPolicy: 0.5, byContact: 1, byPort: 1, byRate: 0.7,
	byNickname: 0.5, byAS: 0.5, byRange: 1, bySubnet: 1,
}

var traitNames = [traits]string{"version", "policy", "contact", "port", "rate", "nickname", "as", "range", "subnet"}

// unknown is a trait's value that is equal to none.
const unknown = -1

// A profile is what a subject is compared by.
type profile struct {
	values    [traits]int32 // interned; unknown
	addr      uint32        // IPv4
	hasAddr   bool
	seen      int64 // minute of Seen
	timed     bool  // seen is evidence: not a founder's, not known to the day only
	starts    []moment
	rotations []moment
	prefix    uint64 // first bits of the identity
}

// A moment is a minute in which something happened to a relay, and the surprise
// of that happening to another in the same minute.
type moment struct {
	minute int64
	bits   float32
}

// A view is all that one run knows.
type view struct {
	subjects []Subject // ascending by identity, one each
	config   Config
	rules    *rules.Rules
	profiles []profile
	surprise [traits][]float32 // bits by value, times the trait's weight
	counts   [traits][]int32   // subjects by value
	arriving float64           // bits of being seen first within the same hours
	chance   int               // leading bits that two of that many identities share by chance
}

// founder reports whether a subject was there before the network was usable, or
// came in that minute.
func (v *view) founder(s *Subject) bool {
	return s.Seen.Before(v.config.Usable.Truncate(time.Minute).Add(time.Minute))
}

// sorted copies the subjects in the order of their identities; of equal ones the
// one seen first stays.
func sorted(subjects []Subject) []Subject {
	order := make([]int, len(subjects)) // a subject is large to swap
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		s, o := &subjects[a], &subjects[b]
		return cmp.Or(bytes.Compare(s.ID[:], o.ID[:]), s.Seen.Compare(o.Seen))
	})
	list := make([]Subject, 0, len(subjects))
	for _, i := range order {
		if n := len(list); n == 0 || list[n-1].ID != subjects[i].ID {
			list = append(list, subjects[i])
		}
	}
	return list
}

// An interner numbers values of one trait.
type interner[K comparable] map[K]int32

func (m interner[K]) of(k K) int32 {
	n, ok := m[k]
	if !ok {
		n = int32(len(m))
		m[k] = n
	}
	return n
}

func (m interner[K]) unless(nothing bool, k K) int32 {
	if nothing {
		return unknown
	}
	return m.of(k)
}

// describe fills the profiles.
func (v *view) describe() {
	v.profiles = make([]profile, len(v.subjects))
	version, policy, contact, nickname := interner[string]{}, interner[string]{}, interner[string]{}, interner[string]{}
	port, as, rate := interner[uint16]{}, interner[uint32]{}, interner[[2]uint64]{}
	ranges, subnets := interner[netip.Prefix]{}, interner[netip.Prefix]{}
	for i := range v.subjects {
		s, p := &v.subjects[i], &v.profiles[i]
		p.values = [traits]int32{
			byVersion:  version.unless(s.Version == "", s.Version),
			byPolicy:   policy.of(s.Policy),
			byContact:  contact.unless(s.Contact == "", s.Contact),
			byPort:     port.unless(s.Port == 0, s.Port),
			byRate:     rate.unless(s.Rate == 0 && s.Burst == 0, [2]uint64{s.Rate, s.Burst}),
			byNickname: nickname.unless(s.Nickname == "", pattern(s.Nickname)),
			byAS:       as.unless(s.AS == 0, s.AS),
			byRange:    unknown,
			bySubnet:   unknown,
		}
		v.place(s, p, ranges, subnets)
		p.seen = s.Seen.Unix() / 60
		p.timed = !s.DayOnly && !v.founder(s)
		p.prefix = binary.BigEndian.Uint64(s.ID[:])
	}
}

// place notes the first address, unless addresses are no evidence here.
func (v *view) place(s *Subject, p *profile, ranges, subnets interner[netip.Prefix]) {
	if v.config.SharedSubnets || len(s.Addrs) == 0 || !s.Addrs[0].IsValid() {
		return
	}
	a := s.Addrs[0].Unmap()
	narrow := 48
	if a.Is4() {
		narrow = 24
		b := a.As4()
		p.addr, p.hasAddr = binary.BigEndian.Uint32(b[:]), true
	}
	within, _ := a.Prefix(narrow) // valid: checked
	p.values[byRange] = ranges.of(within)
	p.values[bySubnet] = subnets.of(directory.Subnet(a))
}

// pattern is a nickname without what tells the siblings of a series apart: its
// digits, and whether letters are capital.
func pattern(nickname string) string {
	var b strings.Builder
	digits := false
	for _, c := range []byte(strings.ToLower(nickname)) {
		if digit := c >= '0' && c <= '9'; digit {
			if !digits {
				b.WriteByte('#')
			}
			digits = true
			continue
		}
		digits = false
		b.WriteByte(c)
	}
	return b.String()
}

// sharedBits returns how many leading bits two identities share, at most 64.
func sharedBits(a, b uint64) int { return bits.LeadingZeros64(a ^ b) }
