package relay

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// Versions of handshakes that this relay answers.
var (
	linkVersions = directory.VersionsOf(1)
	hopVersions  = directory.VersionsOf(1)
)

// describe makes the descriptor of this relay at the given addresses.
func (r *Relay) describe(addrs []netip.AddrPort, now time.Time) (*directory.Descriptor, error) {
	_, signing := r.cfg.Keys.Signing()
	_, link := r.cfg.Keys.Link()
	public, circuit := r.cfg.Keys.Circuit()
	if public == (keys.CircuitPublic{}) {
		return nil, errors.New("no circuit key")
	}
	rate, burst := r.offered()
	voucher, _ := r.cfg.Keys.Voucher(now) // none: the zero value
	return &directory.Descriptor{
		Network:      r.cfg.Network.Digest(),
		ID:           r.id,
		Signing:      signing,
		Published:    now.UTC(),
		Nickname:     r.cfg.Nickname,
		Addrs:        addrs,
		Link:         link,
		Circuit:      circuit,
		LinkVersions: linkVersions,
		HopVersions:  hopVersions,
		Platform:     r.cfg.Platform,
		Contact:      r.cfg.Contact,
		Uptime:       now.Sub(r.started),
		Rate:         rate,
		Burst:        burst,
		Observed:     min(observed(r.read, r.write, now), directory.MaxRate),
		Families:     r.families(now),
		Voucher:      voucher,
		Policy:       *r.policy.Load(),
	}, nil
}

// offered returns the bandwidth that the descriptor names, in bytes/s and bytes.
func (r *Relay) offered() (rate, burst uint64) {
	b := r.bandwidth.Load()
	if b.rate <= 0 {
		return directory.MaxRate, directory.MaxRate
	}
	rate = min(uint64(b.rate), directory.MaxRate)
	burst = rate
	if b.burst > 0 {
		burst = min(uint64(b.burst), directory.MaxRate)
	}
	return rate, max(burst, minBurst)
}

// content names all of a descriptor that does not change by itself: two with the
// same content need not both be published.
func content(d *directory.Descriptor) [32]byte {
	text := fmt.Sprint(d.ID, d.Nickname, d.Addrs, d.Signing.Subject, d.Link.Subject, d.Circuit.Subject, d.LinkVersions, d.HopVersions,
		d.Platform, d.Contact, d.Rate, d.Burst, d.Families, d.Voucher, d.Policy)
	return sha256.Sum256([]byte(text))
}
