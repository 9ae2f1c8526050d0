package directory

import "time"

const ( // fixed by docs/protocol.md, "Relays in votes and consensus"
	// MaxAge is the most days of age.
	MaxAge = 100_000
	// MaxCode is the longest code of a quarantine, or name of a rule.
	MaxCode = 24
	// MaxShare is the greatest share of a relay in a position: its weight,
	// times 1,000 against truncation.
	MaxShare = 1000 * MaxWeight
)

// A Quarantine is why a relay may be nothing but a middle, and until when.
type Quarantine struct {
	Code  string // "batch", "cluster", ...: see docs/protocol.md, "Quarantine"; "" if there is none
	Until time.Time
}

// Shares are what a relay counts in each position, by [Position]: its weight
// after ages, position weights and caps. They compare within one position; 0 is
// never to be chosen there.
type Shares [3]uint64

// IsCode reports whether s can stand in a document as the code of a quarantine
// or the name of a rule: small letters, digits and hyphens, a letter first.
func IsCode(s string) bool {
	if !isName(s, MaxCode, "-") {
		return false
	}
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return false
		}
	}
	return s[0] >= 'a'
}

// encodeStanding appends the lines that authorities decide on, in votes and in
// the consensus: flags, weight, age, origin, group, quarantine.
func (r *Relay) encodeStanding(w *writer) {
	w.flags("flags", r.Flags)
	w.keyword("weight").uint(r.Weight, MaxWeight, "weight").end()
	if !r.FirstListed.IsZero() {
		w.keyword("listed").time(r.FirstListed, dateLayout, "listed").end()
	}
	w.optional("age", uint64(max(0, r.Age)), MaxAge)
	w.optional("as", uint64(r.AS), 1<<32-1)
	if r.Country != "" {
		if !isCountry(r.Country) {
			w.fail("country")
		}
		w.keyword("country").text(r.Country).end()
	}
	if !r.Group.IsZero() {
		w.keyword("group").binary(r.Group[:]).end()
	}
	if q := &r.Quarantine; q.Code != "" {
		if !IsCode(q.Code) {
			w.fail("quarantine")
		}
		w.keyword("quarantine").text(q.Code).time(q.Until, timeLayout, "quarantine").end()
	}
}

// readStanding reads what encodeStanding writes.
func (r *Relay) readStanding(in *reader) {
	r.Flags = in.flags("flags")
	r.Weight = in.uint(in.take("weight"), MaxWeight, "weight")
	if in.at("listed") {
		r.FirstListed = in.date(in.take("listed"), "listed")
	}
	r.Age = int(in.optional("age", MaxAge))
	r.AS = uint32(in.optional("as", 1<<32-1))
	if in.at("country") {
		if r.Country = cloned(in.take("country")); !isCountry(r.Country) {
			in.fail("country")
		}
	}
	r.Group = in.optionalDigest("group")
	if in.at("quarantine") {
		code, until := in.two(in.take("quarantine"), "quarantine")
		if !IsCode(code) {
			in.fail("quarantine")
		}
		r.Quarantine = Quarantine{Code: cloned(code), Until: in.time(until, "quarantine")}
	}
}

// encodeOutcome appends the lines that the tally adds in the consensus.
func (r *Relay) encodeOutcome(w *writer) {
	if !r.Voucher.IsZero() {
		w.keyword("voucher").binary(r.Voucher[:]).end()
	}
	w.keyword("shares")
	for _, s := range r.Shares {
		w.uint(s, MaxShare, "shares")
	}
	w.end()
}

// readOutcome reads what encodeOutcome writes.
func (r *Relay) readOutcome(in *reader) {
	r.Voucher = in.optionalDigest("voucher")
	fields := in.split(in.take("shares"), len(r.Shares), "shares")
	for i := range r.Shares {
		r.Shares[i] = in.uint(fields[i], MaxShare, "shares")
	}
}

// isCountry reports whether s is two capital letters.
func isCountry(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}
