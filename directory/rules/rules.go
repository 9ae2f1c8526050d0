// Package rules holds the numbers of the defence against Sybil attacks: limits
// of admission, the ramp of ages, caps on shares, detection, vouching, and what
// clients do about guards. Each is a consensus parameter with a default, hard
// bounds and a value for small networks; this package says which apply and
// knows nothing of what is done with them.
//
// Four things relax a network's rules, and the consensus names each: [Wide], a
// network of fewer relays than the caps are made for; [Small], one of few;
// [Young], one younger than its ages and cohorts can be; [Test], one of private
// addresses. [Relaxed] decides, so that every authority and auditor finds the
// same.
//
// Specification: docs/protocol.md, "Rules against Sybil attacks".
package rules

// positions of a path, as indices: those of directory.Position.
const positions = 3

// A Ramp says what share of its weight a relay of some age may carry in a
// position: nothing before From days, Start permille on that day, and linearly
// more until all of it on day Full.
type Ramp struct{ From, Start, Full int }

// At returns that share, in permille, for a relay whose age counts as days.
func (r Ramp) At(days int) int {
	switch {
	case days < r.From:
		return 0
	case days >= r.Full:
		return 1000
	}
	return r.Start + (1000-r.Start)*(days-r.From)/(r.Full-r.From)
}

// A Dimension is a way of grouping relays for caps.
type Dimension int

const ( // the dimensions, in the order in which their caps are applied
	BySlash24 Dimension = iota // IPv4 /24, IPv6 /48
	BySlash16                  // IPv4 /16, IPv6 /32
	ByAS
	ByCountry
	ByFamily  // declared
	ByGroup   // inferred: what detection found to be one operator's
	ByVoucher // all that one operator's vouchers let in, directly or not
	ByYoung   // all relays younger than YoungDays
	ByCohort  // all relays first listed in one epoch of EpochDays
	Dimensions
)

var dimensionNames = [Dimensions]string{"24", "16", "as", "country", "family", "group", "voucher", "young", "cohort"}

func (d Dimension) String() string { return dimensionNames[d] }

// Limits of admission: how many relays may be listed.
type Limits struct {
	PerAddress   int // per IPv4 address
	Per64        int // per IPv6 /64
	Per24        int // per IPv4 /24, and per IPv6 /48
	Per16        int // per IPv4 /16, and per IPv6 /32
	PerAS        int // per AS, but at least ASPermille of all
	ASPermille   int
	NewPerAddr   int // new identities of one address within NewWindow days
	NewWindow    int // days
	FreezeAfter  int // days away after which a relay's age is frozen
	ForgetAfter  int // days away after which its age is lost
	UptimeOfADay int // permille of a day's tests that a day of age needs
}

// Detection of groups, and what follows from it.
type Detection struct {
	Least         int // relays that a group has at least
	FalseAlarms   int // expected false alarms of arrivals, per thousand years and window
	MarginBits    int // evidence needed beyond log2 of the number of pairs
	Quarantine    int // minutes that a quarantine lasts
	Weight        int // permille of its weight that a quarantined relay carries, as a middle
	IncumbentDays int // relays older than this than a group's median are never joined to it by inference
	TrailingDays  int // days of arrivals that the usual rate is fitted to
}

// Vouching for newcomers.
type Vouch struct {
	Age       int // days after which an operator may vouch
	Every     int // days for one token
	Stock     int // tokens held at most
	Depth     int // of a chain of vouchers
	SpeedUp   int // permille of the time that the ramp takes a vouched relay
	FreezeFor int // days that a finding against a child costs the voucher
}

// Guards, as clients keep them.
type Guards struct {
	Sample         int // guards in the sample while it can have them
	SampleMost     int
	SamplePermille int // of the network's guards at most in a sample
	Primary        int
	Use            int // primaries in use at once
	LifeLeast      int // days; each guard's lifetime is drawn between
	LifeMost       int
	ConfirmedLife  int // days from confirmation at least
	UnlistedLimit  int // days
	PerSubnet      int // sampled guards of one /16 (IPv6: /32)
	PerFamily      int // of one family, declared or inferred
	PerCohort      int // first listed in one epoch
	PerAS          int
	PerVoucher     int
	NewPerDay      int // guards newly used for traffic; 0: no limit
	NewPerMonth    int
	NewPerYear     int
	Layer2         int // second-layer guards of paths that need them
	Layer2Least    int // hours; lifetime of one, the greater of two draws between
	Layer2Most     int
}

// Rules are all numbers.
type Rules struct {
	Limits    Limits
	Ramps     [positions]Ramp            // by directory.Position
	Caps      [Dimensions][positions]int // permille of a position
	BaseCaps  [Dimensions]int            // permille of all weight, before position weights; 0: none
	YoungDays [positions]int
	EpochDays int
	CohortAge int // days after which a relay belongs to no cohort any more
	Stretch   int // permille by which ages count more, 1000: as they are
	Detection Detection
	Vouch     Vouch
	Guards    Guards
}
