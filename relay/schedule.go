package relay

import (
	"net/netip"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

const ( // fixed by docs/protocol.md, "Publishing"
	// renewAfter is how old a descriptor may get: it holds for 18 h, and a third
	// of that is left for authorities that are down.
	renewAfter = 12 * time.Hour
	// unlistedRetry is how often a relay that is missing in the consensus
	// publishes anew, at most; in networks with shorter periods every other one.
	unlistedRetry = 90 * time.Minute
	// A bandwidth twice or half of the one published is news for a relay that
	// has been up for less than a day, but not more often than this.
	bandwidthRetry = 3 * time.Hour
	youngRelay     = 24 * time.Hour
)

// maxRetry is our choice: the longest pause between attempts to publish.
const maxRetry = 10 * time.Minute

const _ = uint(directory.DescriptorLife - renewAfter - 4*time.Hour) // does not compile unless there is time for retries

// A publication is what the relay published last.
type publication struct {
	at       time.Time // zero: nothing yet
	content  [32]byte
	observed uint64
}

// A situation is what decides whether to publish anew.
type situation struct {
	content   [32]byte // of the descriptor as it would be now
	observed  uint64
	uptime    time.Duration
	consensus *directory.Consensus // the newest; nil: none
	listed    bool                 // the relay is in it
}

// due says why to publish anew at now, "" if not, and when to ask again.
func (p publication) due(s situation, now time.Time) (why string, again time.Time) {
	if p.at.IsZero() {
		return "nothing is published yet", now
	}
	again = p.at.Add(renewAfter)
	if s.content != p.content {
		return "the descriptor has changed", now
	}
	if !now.Before(again) {
		return "the descriptor is old", now
	}
	if s.consensus != nil && !s.listed && s.consensus.ValidAfter.After(p.at) {
		period := s.consensus.FreshUntil.Sub(s.consensus.ValidAfter)
		retry := p.at.Add(min(unlistedRetry, 3*period/2))
		if !now.Before(retry) {
			return "the consensus does not list this relay", now
		}
		again = earlier(again, retry)
	}
	if s.uptime < youngRelay && changed(p.observed, s.observed) {
		retry := p.at.Add(bandwidthRetry)
		if p.observed == 0 || s.observed == 0 || !now.Before(retry) {
			return "the bandwidth seen has changed", now
		}
		again = earlier(again, retry)
	}
	return "", again
}

// twin reports whether another process runs with this relay's keys: c lists id at
// another IPv4 address than addrs, though this relay's descriptor was there two
// periods before.
func (p publication) twin(c *directory.Consensus, id keys.RelayID, addrs []netip.AddrPort) bool {
	if c == nil || p.at.IsZero() || len(addrs) == 0 || c.ValidAfter.Before(p.at.Add(2*c.FreshUntil.Sub(c.ValidAfter))) {
		return false
	}
	listed := c.Relay(id)
	return listed != nil && listed.Addrs[0] != addrs[0]
}

// changed reports whether a bandwidth is twice or half of another one.
func changed(old, now uint64) bool { return old > 2*now || now > 2*old }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
