package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tunic/directory"
	"tunic/directory/authority"
	"tunic/directory/keys"
)

func showNetwork(w io.Writer, n *directory.Network) {
	fmt.Fprintf(w, "network %s, digest %v\n", n.Name, n.Digest())
	if n.PrivateAddresses {
		fmt.Fprintln(w, "private_addresses = true: a test network; its exits reach loopback and local networks")
	}
	if n.SameSubnet {
		fmt.Fprintln(w, "same_subnet = true: relays of one /16 may share a circuit")
	}
	t := n.Timing
	fmt.Fprintf(w, "first consensus at %s, then every %v", clock(t.Start), t.Period)
	if t.InitialRounds > 0 {
		fmt.Fprintf(w, " after %d rounds of %v", t.InitialRounds, t.InitialPeriod)
	}
	next := n.NextRound(time.Now())
	fmt.Fprintf(w, "\nnext at %s; its votes leave at %s, in %d rounds of %v, then signatures for %v\n",
		clock(next.ValidAfter), clock(next.VotesLeave), next.VoteRounds, t.VoteRound, t.SignTime)
	fmt.Fprintf(w, "%d authorities, %d signatures make a consensus\n", len(n.Authorities), n.Majority())
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, a := range n.Authorities {
		fmt.Fprintf(tw, "  %s\t%v\t%v\n", a.Name, a.ID, a.Addrs)
	}
	for _, f := range n.Fallbacks {
		fmt.Fprintf(tw, "  fallback\t%v\t%v\n", f.ID, f.Addrs)
	}
	_ = tw.Flush()
}

func showSigners(w io.Writer, s *directory.SignedCheckpoint, n *directory.Network) {
	var names []string
	for _, id := range s.Signers(n) {
		names = append(names, authorityName(n, id))
	}
	fmt.Fprintf(w, "verified: signed by %d of %d authorities (%s)\n", len(names), len(n.Authorities), strings.Join(names, ", "))
}

func authorityName(n *directory.Network, id keys.RelayID) string {
	if a := n.Authority(id); a != nil {
		return cmp.Or(a.Name, id.String())
	}
	return id.String()
}

func showCheckpoint(w io.Writer, c *directory.Checkpoint) {
	fmt.Fprintf(w, "checkpoint of network %s: number %d of the log, whose root is %v\n", c.Origin, c.Size, c.Root)
	fmt.Fprintf(w, "of the consensus valid after %s: digest %v, %d bytes, after %v\n", clock(c.ValidAfter), c.Digest, c.Length, c.Previous)
}

// showConsensus prints a consensus. With the network's file it also says which
// caps cut.
func showConsensus(w io.Writer, c *directory.Consensus, n *directory.Network) {
	fmt.Fprintf(w, "consensus of network %s, method %d, from %d votes\n", c.Network, c.Method, len(c.Votes))
	fmt.Fprintf(w, "valid after %s, fresh until %s, valid until %s\n", clock(c.ValidAfter), clock(c.FreshUntil), clock(c.ValidUntil))
	if p := c.Weights; !p.IsZero() {
		fmt.Fprintf(w, "position weights of %d: Wgg %d, Wmg %d, Wee %d, Wme %d, Wgd %d, Wmd %d, Wed %d\n",
			directory.WeightScale, p.Wgg, p.Wmg, p.Wee, p.Wme, p.Wgd, p.Wmd, p.Wed)
	}
	for _, p := range c.Params {
		fmt.Fprintf(w, "param %s %d\n", p.Name, p.Value)
	}
	fmt.Fprintf(w, "shared random value of the day: %v\n", c.Random)
	printRelaxed(w, c.Relaxed)
	showRelays(w, c.Relays)
	showShares(w, c.Relays)
	showQuarantine(w, c.Relays)
	if n != nil {
		printCuts(w, authority.Weights(n, c))
	}
}

func showRelays(w io.Writer, relays []directory.Relay) {
	fmt.Fprintf(w, "%d relays\n", len(relays))
	if len(relays) == 0 {
		return
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "  NICKNAME\tIDENTITY\tADDRESSES\tKB/S\tSINCE\tDAYS\tFLAGS\tEXITS TO\tFAMILIES\tGROUP\tIN")
	for _, r := range relays {
		var families []string
		for _, f := range r.Family {
			families = append(families, short(f.String()))
		}
		group := ""
		if !r.Group.IsZero() {
			group = short(r.Group.String())
		}
		fmt.Fprintf(tw, "  %s\t%v\t%v\t%d\t%s\t%d\t%v\t%v\t%s\t%s\t%s\n", r.Nickname, r.ID, r.Addrs, r.Weight, date(r.FirstListed), r.Age, r.Flags, r.Ports,
			cmp.Or(strings.Join(families, " "), "-"), cmp.Or(group, "-"), cmp.Or(placeOf(&r), "-"))
	}
	_ = tw.Flush()
}

// placeOf tells the network and country of a relay, as far as known.
func placeOf(r *directory.Relay) string {
	if r.AS == 0 {
		return r.Country
	}
	return strings.TrimSpace(fmt.Sprintf("AS%d %s", r.AS, r.Country))
}

// showShares prints how much of each position each relay gets: how often a path
// that may go through any relay goes through it.
func showShares(w io.Writer, relays []directory.Relay) {
	var all [3]uint64
	for i := range relays {
		for p, s := range relays[i].Shares {
			all[p] += s
		}
	}
	if len(relays) == 0 {
		return
	}
	fmt.Fprintln(w, "shares, permille of each position")
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "  NICKNAME\tGUARD\tMIDDLE\tEXIT\tVOUCHED FOR BY")
	for i := range relays {
		r := &relays[i]
		fmt.Fprintf(tw, "  %s", r.Nickname)
		for p, s := range r.Shares {
			fmt.Fprintf(tw, "\t%.1f", permille(s, max(1, all[p])))
		}
		voucher := "-"
		if !r.Voucher.IsZero() {
			voucher = short(r.Voucher.String())
		}
		fmt.Fprintf(tw, "\t%s\n", voucher)
	}
	_ = tw.Flush()
}

// showQuarantine says which relays are in quarantine, why, and until when.
func showQuarantine(w io.Writer, relays []directory.Relay) {
	for i := range relays {
		r := &relays[i]
		if r.Quarantine.Code == "" {
			continue
		}
		group := ""
		if !r.Group.IsZero() {
			group = ", group " + short(r.Group.String())
		}
		fmt.Fprintf(w, "quarantine: %s until %s, %s%s\n", r.Nickname, clock(r.Quarantine.Until), code(r.Quarantine.Code), group)
	}
}

// showRefused says which relays votes refuse, and why.
func showRefused(w io.Writer, votes []*directory.Vote, n *directory.Network) {
	type refusal struct {
		id             keys.RelayID
		nickname, rule string
	}
	by := map[refusal][]string{}
	for _, v := range votes {
		for i := range v.Entries {
			if e := &v.Entries[i]; e.Refused != "" {
				r := refusal{e.ID, e.Nickname, e.Refused}
				by[r] = append(by[r], authorityName(n, v.Author))
			}
		}
	}
	list := slices.SortedFunc(maps.Keys(by), func(a, b refusal) int {
		return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.nickname, b.nickname), directory.CompareID(a.id, b.id))
	})
	for _, r := range list {
		fmt.Fprintf(w, "refused: %s, %v, %s, by %s\n", r.nickname, r.id, rule(r.rule), strings.Join(by[r], ", "))
	}
}

// showDescriptor prints a descriptor, also one that is past its time: what it
// says is then verified for the time when it was made.
func (s *shower) showDescriptor(b []byte) error {
	if s.network == nil {
		return errNeedsNetwork
	}
	now := time.Now()
	d, err := directory.ParseDescriptor(b, s.network, now)
	if errors.Is(err, directory.ErrExpired) || errors.Is(err, keys.ErrExpired) {
		if at, ok := publishedAt(b); ok {
			if d, err = directory.ParseDescriptor(b, s.network, at); err == nil {
				fmt.Fprintln(s.out, "EXPIRED: only of use to look back")
			}
		}
	}
	if err != nil {
		return err
	}
	showDescriptor(s.out, d)
	return nil
}

// publishedAt reads when a descriptor says that it was made.
func publishedAt(b []byte) (time.Time, bool) {
	for line := range strings.Lines(string(b)) {
		if at, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "published "); ok {
			t, err := directory.ParseTime(at)
			return t, err == nil
		}
	}
	return time.Time{}, false
}

func showDescriptor(w io.Writer, d *directory.Descriptor) {
	fmt.Fprintf(w, "verified: descriptor of relay %s, %v\n", d.Nickname, d.ID)
	fmt.Fprintf(w, "published %s, up %v, %s\n", clock(d.Published), d.Uptime, d.Platform)
	if d.Contact != "" {
		fmt.Fprintf(w, "contact: %s\n", d.Contact)
	}
	fmt.Fprintf(w, "addresses: %v\n", d.Addrs)
	fmt.Fprintf(w, "bandwidth: offers %s/s, bursts of %s, saw %s/s\n", size(d.Rate), size(d.Burst), size(d.Observed))
	fmt.Fprintf(w, "handshakes: links %v, hops %v\n", d.LinkVersions, d.HopVersions)
	fmt.Fprintf(w, "signing key until %s, link key until %s, circuit key until %s\n", date(d.Signing.Expires), date(d.Link.Expires), date(d.Circuit.Expires))
	for _, f := range d.Families {
		fmt.Fprintf(w, "family: %v\n", directory.FamilyDigest(f.Signer))
	}
	if by := d.VouchedBy(); !by.IsZero() {
		fmt.Fprintf(w, "vouched for by: %v, until %s\n", by, date(d.Voucher.Expires))
	}
	if d.Policy.RejectsAll() {
		fmt.Fprintln(w, "no exit")
		return
	}
	fmt.Fprintln(w, "exit policy:")
	for _, r := range d.Policy.Rules {
		fmt.Fprintf(w, "  %v\n", r)
	}
}

func showVote(w io.Writer, v *directory.Vote, n *directory.Network) {
	fmt.Fprintf(w, "verified: vote of %s for the consensus valid after %s\n", authorityName(n, v.Author), clock(v.ValidAfter))
	fmt.Fprintf(w, "made %s, methods %v, votes on %v\n", clock(v.Published), v.Methods, v.Known)
	if v.Previous != nil {
		fmt.Fprintf(w, "the newest consensus it knows is number %d, valid after %s\n", v.Previous.Signed.Checkpoint.Size, clock(v.Previous.Signed.Checkpoint.ValidAfter))
	}
	for _, p := range v.Params {
		fmt.Fprintf(w, "param %s %d\n", p.Name, p.Value)
	}
	if !v.ASTable.IsZero() {
		fmt.Fprintf(w, "table of networks: %v\n", v.ASTable)
	}
	relays := make([]directory.Relay, len(v.Entries))
	for i, e := range v.Entries {
		relays[i] = e.Relay
	}
	showRelays(w, relays)
	showQuarantine(w, relays)
	showRefused(w, []*directory.Vote{v}, n)
	for _, e := range v.Entries {
		if e.Unknown != 0 {
			fmt.Fprintf(w, "  no opinion on %s: %v\n", e.Nickname, e.Unknown)
		}
	}
}
