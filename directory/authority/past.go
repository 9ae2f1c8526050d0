package authority

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tunic/directory"
)

const ( // our choice: what is remembered of one relay, the newest
	maxSpells  = 8   // values of one attribute
	maxMoments = 32  // restarts, and key changes: as many as detection looks at
	maxRuns    = 32  // reachability runs
	maxWhat    = 300 // bytes of a value
)

// past is what a relay was before: for detection, which compares relays, and for
// operators, who look into one. All lists are bounded, oldest first, and none is
// changed in place: others read them while the authority goes on.
type past struct {
	Had       map[string][]spell `json:",omitempty"` // by name of an attribute
	Starts    []int64            `json:",omitempty"` // minutes since 1970 of its restarts, by its own word
	Rotations []int64            `json:",omitempty"` // and of its key changes: when the descriptors with new ones were made
	Runs      []run              `json:",omitempty"`
}

// A spell is the time in which an attribute had one value, by the relay's
// descriptors.
type spell struct {
	What     string
	From, To time.Time
}

// A run is the time from a success to the first failure after it; To is zero
// while it goes on.
type run struct{ From, To time.Time }

// An attribute is something that a relay says of itself.
type attribute struct {
	name string
	of   func(*directory.Descriptor) string
}

// attributes are those that are remembered, in the order in which they are shown.
var attributes = []attribute{
	{"addresses", func(d *directory.Descriptor) string { return strings.Trim(fmt.Sprint(d.Addrs), "[]") }},
	{"nickname", func(d *directory.Descriptor) string { return d.Nickname }},
	{"contact", func(d *directory.Descriptor) string { return d.Contact }},
	{"platform", func(d *directory.Descriptor) string { return d.Platform }},
	{"signing key", func(d *directory.Descriptor) string { return fmt.Sprint(directory.Digest(d.Signing.Subject)) }},
	{"link key", func(d *directory.Descriptor) string { return fmt.Sprint(directory.Digest(d.Link.Subject)) }},
	{"circuit key", func(d *directory.Descriptor) string { return fmt.Sprint(directory.Digest(d.Circuit.Subject)) }},
	{"families", func(d *directory.Descriptor) string { return strings.Trim(fmt.Sprint(d.Relay().Family), "[]") }},
	{"voucher", func(d *directory.Descriptor) string {
		if by := d.VouchedBy(); !by.IsZero() {
			return by.String()
		}
		return ""
	}},
	{"offers", func(d *directory.Descriptor) string { return fmt.Sprintf("%d B/s, bursts of %d B", d.Rate, d.Burst) }},
	{"exits to", func(d *directory.Descriptor) string {
		v4, v6 := d.Ports()
		if v4.Empty() && v6.Empty() {
			return ""
		}
		return fmt.Sprintf("%v, IPv6 %v", v4, v6)
	}},
}

// describe notes what a descriptor says that was not said before. old is the one
// before it, nil if none is known.
func (p *past) describe(old, d *directory.Descriptor) {
	if p.Had == nil {
		p.Had = make(map[string][]spell, len(attributes))
	}
	for _, a := range attributes {
		what := a.of(d)
		what = what[:min(len(what), maxWhat)]
		list := p.Had[a.name]
		if n := len(list); n > 0 && list[n-1].What == what {
			list = slices.Clone(list)
			list[n-1].To = d.Published
			p.Had[a.name] = list
			continue
		}
		p.Had[a.name] = latest(append(list, spell{What: what, From: d.Published, To: d.Published}), maxSpells)
	}
	if old != nil && (old.Link.Subject != d.Link.Subject || old.Circuit.Subject != d.Circuit.Subject || old.Signing.Subject != d.Signing.Subject) {
		p.Rotations = latest(append(p.Rotations, minute(d.Published)), maxMoments)
	}
}

// started notes a restart.
func (p *past) started(at time.Time) {
	p.Starts = latest(append(p.Starts, minute(at)), maxMoments)
}

// reached and missed note where a run begins and ends. last is when the relay
// was last reached before: a run that nobody watched to its end ended there.
func (p *past) reached(now, last time.Time, goesOn bool) {
	n := len(p.Runs)
	open := n > 0 && p.Runs[n-1].To.IsZero()
	if open && goesOn {
		return
	}
	if open {
		p.endRun(last)
	}
	p.Runs = latest(append(p.Runs, run{From: now}), maxRuns)
}

func (p *past) missed(now time.Time) {
	if n := len(p.Runs); n > 0 && p.Runs[n-1].To.IsZero() {
		p.endRun(now)
	}
}

// endRun notes when the last run ended.
func (p *past) endRun(at time.Time) {
	p.Runs = slices.Clone(p.Runs)
	p.Runs[len(p.Runs)-1].To = at
}

// snapshot returns a copy that stays as it is.
func (p *past) snapshot() past {
	c := *p
	c.Had = maps.Clone(p.Had)
	return c
}

func minute(t time.Time) int64 { return t.Unix() / 60 }

// latest returns the last most values of a list, in memory of their own.
func latest[T any](list []T, most int) []T {
	return slices.Clip(slices.Clone(list[max(0, len(list)-most):]))
}

// plausible reports whether the lists are some that this code can have written.
func (p *past) plausible() bool {
	for name, list := range p.Had {
		known := slices.ContainsFunc(attributes, func(a attribute) bool { return a.name == name })
		if !known || len(list) > maxSpells {
			return false
		}
		for _, s := range list {
			if len(s.What) > maxWhat {
				return false
			}
		}
	}
	return len(p.Starts) <= maxMoments && len(p.Rotations) <= maxMoments && len(p.Runs) <= maxRuns
}
