package authority

import (
	"fmt"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

// lifetime is a network of one authority that votes each hour, from its first
// period on.
type lifetime struct {
	t      *testing.T
	n      *directorytest.Network
	g      *registry
	params []directory.Param
	relays []*directorytest.Relay
}

func begin(t *testing.T, start time.Time, params ...directory.Param) *lifetime {
	timing := directory.DefaultTiming(start)
	timing.Start = start
	n := directorytest.NewWith(1, directory.Network{Name: "young.example", Timing: timing})
	l := &lifetime{t: t, n: n, g: testRegistry(n, start.Add(-time.Hour)), params: params}
	l.g.params = params
	return l
}

// join adds relays; each third is an exit.
func (l *lifetime) join(count int, now time.Time) {
	for range count {
		r := l.n.NewRelay(len(l.relays), now)
		if len(l.relays)%3 == 0 {
			r.Descriptor.Policy = directory.AcceptAll()
		}
		l.relays = append(l.relays, r)
		l.publish(r, now)
	}
}

func (l *lifetime) publish(r *directorytest.Relay, now time.Time) {
	d := &r.Descriptor
	d.Published, d.Uptime = directory.Moment(now), time.Hour
	from, until := now.Add(-oneDay), now.Add(30*oneDay)
	d.Signing = r.Identity.CertifySigning(r.Signing.Public(), from, until)
	d.Link = r.Signing.CertifyLink(r.Link.Public(), from, until)
	d.Circuit = r.Signing.CertifyCircuit(r.Circuit.Public(), from, until)
	if _, err := upload(l.t, l.g, r, now); err != nil {
		l.t.Fatal(err)
	}
}

// vote makes the consensus of round i. up says who answers.
func (l *lifetime) vote(i int64, up func(keys.RelayID) bool) *directory.Consensus {
	round := l.n.Round(i)
	now := round.VotesLeave
	for _, r := range l.relays {
		if now.Sub(r.Descriptor.Published) >= 12*time.Hour {
			l.publish(r, now)
		}
	}
	takeAll(l.g, now, up)
	l.g.observe(now, round.ValidAfter)
	a := l.n.Keys[0]
	v := &directory.Vote{
		Network: l.n.Digest(), Author: a.Identity.Public(), Signing: a.SigningCert, ValidAfter: round.ValidAfter,
		Published: now, Methods: Methods, Known: directory.AllFlags, Params: l.params, Entries: l.g.entries(now, round.ValidAfter),
	}
	keepOut(l.n.Network, v)
	r, err := Tally(l.n.Network, round, []*directory.Vote{v})
	if err != nil {
		l.t.Fatal(err)
	}
	l.g.listed(r.Consensus)
	return r.Consensus
}

// However the days fall, whatever is relaxed or not, and although some relays
// miss a day: at no time is there a position that no relay may carry, and more
// than one relay is a guard.
func TestYoungNetworkAlwaysHasPaths(t *testing.T) {
	day := directory.Day(epoch)
	for _, start := range []time.Duration{0, 12 * time.Hour, 20 * time.Hour, 23*time.Hour + 30*time.Minute} {
		for _, small := range []int64{0, 200} {
			t.Run(fmt.Sprintf("from %v, small below %d", start, small), func(t *testing.T) {
				at := day.Add(start)
				l := begin(t, at, directory.Param{Name: "sybil_small", Value: small})
				l.join(6, at.Add(-30*time.Minute))
				for i := range int64(24 * 15) {
					if i == 24*5 {
						l.join(2, l.n.Round(i).VotesLeave)
					}
					away := i%24 < 6 && i < 24*10
					c := l.vote(i, func(id keys.RelayID) bool { return !away || id != l.relays[1].Descriptor.ID })
					if why := lacks(c); why != "" {
						t.Fatalf("round %d, %v after the start: %s", i, c.ValidAfter.Sub(at), why)
					}
				}
			})
		}
	}
}

// lacks says what a consensus lacks for paths, "" if nothing.
func lacks(c *directory.Consensus) string {
	var sums [3]uint64
	guards := 0
	for i := range c.Relays {
		r := &c.Relays[i]
		for p, s := range r.Shares {
			sums[p] += s
		}
		if r.Flags.Has(directory.Guard) && r.Shares[directory.AsGuard] > 0 {
			guards++
		}
	}
	for p, s := range sums {
		if s == 0 {
			return fmt.Sprintf("no share of position %d: %+v", p, c.Relays)
		}
	}
	if guards < 2 {
		return fmt.Sprintf("%d guards", guards)
	}
	return ""
}
