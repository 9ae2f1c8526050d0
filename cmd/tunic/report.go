package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tunic/cell/link"
	"tunic/cell/work"
	"tunic/client"
	"tunic/cmd/node"
	"tunic/directory/authority"
	"tunic/directory/keys"
	"tunic/relay"
)

// maxLines bounds a list in a report for people; --json has all of it.
const maxLines = 20

// printStatus writes s for people.
func printStatus(w io.Writer, s node.Status, now time.Time) {
	fmt.Fprintf(w, "%s of network %s, process %d, up %v\n", s.Role, s.Network, s.PID, rounded(now.Sub(s.Started)))
	switch {
	case s.Client != nil:
		printClient(w, s.Client, s.Authorities, now.Sub(s.Started), now)
	case s.Authority != nil:
		printAuthority(w, s.Authority, now)
		if s.Relay != nil {
			fmt.Fprintf(w, "identity %v\n", s.Relay.ID)
			printLoad(w, s.Relay, s.Authorities, now)
		}
	case s.Relay != nil:
		printRelay(w, s.Relay, now)
		printLoad(w, s.Relay, s.Authorities, now)
	}
}

func printClient(w io.Writer, s *client.Status, authorities map[string]string, up time.Duration, now time.Time) {
	fmt.Fprintf(w, "%v, %d %%\n", s.Phase, s.Percent)
	if s.Problem != "" {
		fmt.Fprintf(w, "problem: %s\n", s.Problem)
	}
	if c := s.Consensus; c.Relays > 0 {
		state := "until " + clock(c.ValidUntil)
		if c.Expired {
			state = "EXPIRED at " + clock(c.ValidUntil)
		}
		fmt.Fprintf(w, "consensus: %d relays, valid after %s, %s", c.Relays, clock(c.ValidAfter), state)
		if len(c.Relaxed) > 0 {
			fmt.Fprintf(w, ", rules relaxed: %s", strings.Join(c.Relaxed, " "))
		}
		if !c.NextFetch.IsZero() {
			fmt.Fprintf(w, ", next fetch in %v", rounded(c.NextFetch.Sub(now)))
		}
		fmt.Fprintln(w)
	}
	open := 0
	for _, c := range s.Circuits {
		open += c.Streams
	}
	fmt.Fprintf(w, "streams: %d open, %d requests wait; %s\n", open, s.Waiting, traffic(s.Read, s.Written, up))
	printGuards(w, s, now)
	names := names(s, authorities)
	var links []string
	for _, l := range s.Links {
		links = append(links, fmt.Sprintf("%s\t%s read\t%s written", nameOf(names, l.Peer), size(l.Read), size(l.Written)))
	}
	table(w, "links", links)
	var circuits []string
	for _, c := range s.Circuits {
		hops := make([]string, len(c.Hops))
		for i, h := range c.Hops {
			hops[i] = h.Nickname
		}
		circuits = append(circuits, fmt.Sprintf("%d\t%s\t%s\t%d streams\t%v old", c.ID, c.State, strings.Join(hops, " > "), c.Streams, rounded(now.Sub(c.Created))))
	}
	table(w, "circuits", circuits)
}

// printGuards tells of a client's guards, what they have in common with other
// relays, and how much of the client any group of relays may come to see.
func printGuards(w io.Writer, s *client.Status, now time.Time) {
	table(w, "guards", guardRows(s, now))
	if d := s.Draws; d.DayLimit > 0 || d.MonthLimit > 0 || d.YearLimit > 0 {
		fmt.Fprintf(w, "new guards: %s today, %s in 30 days, %s in a year", of(d.Day, d.DayLimit), of(d.Month, d.MonthLimit), of(d.Year, d.YearLimit))
		if d.HeldUntil.After(now) {
			fmt.Fprintf(w, "; NO OTHER before %s, see docs/running-a-client.md", clock(d.HeldUntil))
		}
		fmt.Fprintln(w)
	}
	table(w, "groups of the guards in use", groupRows(s))
	table(w, "exposure to one group in a year, at most", exposureRows(s))
}

// of writes how much of a limit is spent; a limit of 0 is none.
func of(n, limit int) string {
	if limit == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d of %d", n, limit)
}

// groupRows tells what the guards that are or may be in use have in common with
// others, and why one is in quarantine.
func groupRows(s *client.Status) (rows []string) {
	for _, g := range s.Guards {
		if !g.Primary && !g.Confirmed {
			continue
		}
		name := cmp.Or(g.Nickname, g.ID.String())
		if list := groupNames(g.Groups); len(list) > 0 {
			rows = append(rows, name+"\t"+strings.Join(list, ", "))
		}
		if q := g.Quarantine; q != nil {
			rows = append(rows, fmt.Sprintf("%s\tIN QUARANTINE until %s (%s): %s", name, clock(q.Until), q.Code, quarantineReason(q.Code)))
		}
	}
	return rows
}

func groupNames(g client.GroupStatus) (list []string) {
	for _, p := range g.Subnets {
		list = append(list, p.String())
	}
	if g.AS != 0 {
		list = append(list, fmt.Sprint("AS", g.AS))
	}
	if g.Country != "" {
		list = append(list, g.Country)
	}
	for _, f := range g.Families {
		list = append(list, "family "+short(f))
	}
	if g.Inferred != "" {
		list = append(list, "found to be of group "+short(g.Inferred))
	}
	if g.Voucher != "" {
		list = append(list, "vouched for by family "+short(g.Voucher))
	}
	if g.Cohort != "" {
		list = append(list, "newcomer of "+g.Cohort)
	}
	return list
}

// short is enough of a digest to tell a few apart; --json has all of it.
func short(digest string) string { return digest[:min(len(digest), 10)] }

// quarantineReason says what the code of a quarantine means.
func quarantineReason(code string) string {
	switch code {
	case "batch":
		return "it arrived with more relays at once than the usual rate explains"
	case "cluster":
		return "it has more in common with some other relays than chance explains"
	case "manual":
		return "a majority of the authorities' operators decided so"
	}
	return "see docs/protocol.md, Quarantine"
}

func exposureRows(s *client.Status) (rows []string) {
	for _, e := range s.Exposure {
		row := fmt.Sprintf("%s %s\t%.1f %% of guards, %.1f %% of exits\t%.1f %%", e.By, e.Name, 100*e.Guard, 100*e.Exit, 100*e.Year)
		if e.Held {
			row += "\tone of your guards is of it"
		}
		rows = append(rows, row)
	}
	return rows
}

func guardRows(s *client.Status, now time.Time) (rows []string) {
	for _, g := range s.Guards {
		marks := g.State
		if g.Primary {
			marks += ", primary"
		}
		if g.Confirmed {
			marks += ", confirmed"
		}
		if g.Kept {
			marks += ", kept for some days: it would not be chosen any more"
		}
		if g.RetryAt.After(now) {
			marks += fmt.Sprintf(", tried again in %v", rounded(g.RetryAt.Sub(now)))
		}
		rows = append(rows, cmp.Or(g.Nickname, g.ID.String())+"\t"+marks)
	}
	return rows
}

// names returns the relays' names that a client's status tells.
func names(s *client.Status, authorities map[string]string) map[string]string {
	all := maps.Clone(authorities)
	if all == nil {
		all = map[string]string{}
	}
	for _, g := range s.Guards {
		all[g.ID.String()] = g.Nickname
	}
	for _, c := range s.Circuits {
		for _, h := range c.Hops {
			all[h.ID.String()] = h.Nickname
		}
	}
	return all
}

func nameOf(names map[string]string, id keys.RelayID) string {
	return cmp.Or(names[id.String()], id.String())
}

// printRelay tells what only a relay has: how it stands with the authorities.
func printRelay(w io.Writer, s *relay.Status, now time.Time) {
	fmt.Fprintf(w, "identity %v, nickname %s\n", s.ID, s.Nickname)
	switch {
	case s.Problem != "":
		fmt.Fprintf(w, "not published: %s\n", s.Problem)
	case !s.Published.IsZero():
		fmt.Fprintf(w, "published %v ago at %v, taken by %d authorities\n", rounded(now.Sub(s.Published)), s.Addresses, s.Accepted)
	default:
		fmt.Fprintln(w, "not published yet")
	}
	switch {
	case s.Listed:
		fmt.Fprintf(w, "listed in the consensus valid after %s: weight %d kB/s, %s\n", clock(s.Consensus), s.Weight, s.Flags)
	case s.Consensus.IsZero():
		fmt.Fprintln(w, "no consensus yet")
	default:
		fmt.Fprintf(w, "not listed in the consensus valid after %s\n", clock(s.Consensus))
	}
	if s.Twin {
		fmt.Fprintln(w, "listed at another address than this one: does another process run with the same keys?")
	}
}

// printLoad tells what passes through a relay, or an authority's part that is one.
func printLoad(w io.Writer, s *relay.Status, names map[string]string, now time.Time) {
	rate := "no limit"
	if s.Rate > 0 {
		rate = "limit " + size(uint64(s.Rate)) + "/s"
		if s.Burst > 0 {
			rate += " with bursts of " + size(uint64(s.Burst))
		}
	}
	fmt.Fprintf(w, "bandwidth: %s; %s; observed %s/s\n", traffic(s.Read, s.Written, now.Sub(s.Started)), rate, size(s.Observed))
	fmt.Fprintf(w, "%d circuits, %d exit streams, %d directory streams, %d handshakes answered\n", s.Circuits, s.Streams, s.DirStreams, s.Handshakes)
	table(w, "links", linkRows(s.Links, names))
	table(w, "exit streams so far", counts(s.ExitReasons))
	table(w, "refused so far", counts(s.Refused))
}

// linkRows counts the links by what their peers are, and lists those of relays
// and authorities; strangers have nothing that tells them apart.
func linkRows(links []link.LinkInfo, names map[string]string) (rows []string) {
	links = slices.Clone(links)
	slices.SortFunc(links, func(a, b link.LinkInfo) int { return cmp.Compare(b.Read+b.Written, a.Read+a.Written) })
	strangers := 0
	for _, l := range links {
		if l.Class == work.Stranger && !l.Dialled {
			strangers++
			continue
		}
		kind := l.Class.String()
		if l.Class == work.Stranger {
			kind = "not listed" // dialled: its identity is known, the consensus lacks it
		}
		from := "accepted"
		if l.Dialled {
			from = "dialled"
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%d circuits\t%s read\t%s written\t%v old", nameOf(names, l.ID), kind, from, l.Circuits, size(l.Read), size(l.Written), rounded(l.Age)))
	}
	if strangers > 0 {
		rows = append(rows, fmt.Sprintf("%d of clients and other strangers", strangers))
	}
	return rows
}

func counts(m map[string]uint64) (rows []string) {
	for _, cause := range slices.Sorted(maps.Keys(m)) {
		if m[cause] > 0 {
			rows = append(rows, fmt.Sprintf("%s\t%d", cause, m[cause]))
		}
	}
	return rows
}

func printAuthority(w io.Writer, s *authority.Status, now time.Time) {
	if s.Consensus.IsZero() {
		fmt.Fprintln(w, "no consensus yet")
	} else {
		fmt.Fprintf(w, "consensus: valid after %s (%v ago), %d relays, signed by %d authorities\n",
			clock(s.Consensus), rounded(now.Sub(s.Consensus)), s.Listed, s.Signatures)
	}
	if s.Problem != "" {
		fmt.Fprintf(w, "problem: %s\n", s.Problem)
	}
	if !s.Period.IsZero() {
		fmt.Fprintf(w, "next: valid after %s, %d votes count so far\n", clock(s.Period), s.Votes)
	}
	fmt.Fprintf(w, "%d relays published, %d run\n", s.Relays, s.Running)
	said := map[bool]string{true: "yes", false: "no"}
	var rows []string
	for _, f := range s.Authorities {
		name := f.Name
		if f.Self {
			name += " (this one)"
		}
		rows = append(rows, fmt.Sprintf("%s\tvoted: %s\tsigned: %s", name, said[f.Voted], said[f.Signed]))
	}
	table(w, "authorities, in this consensus", rows)
	rows = nil
	for _, u := range s.Unlisted {
		rows = append(rows, fmt.Sprintf("%s\t%v\t%s", u.Nickname, u.ID, u.Why))
	}
	table(w, "relays left out", rows)
}

// table writes rows under a title, with their columns in line; nothing where
// there are none.
func table(w io.Writer, title string, rows []string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(w, "%s:\n", title)
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, r := range rows[:min(len(rows), maxLines)] {
		fmt.Fprintln(tw, "  "+r)
	}
	_ = tw.Flush()
	if more := len(rows) - maxLines; more > 0 {
		fmt.Fprintf(w, "  and %d more: see --json\n", more)
	}
}

// summary says in a few words how a node is.
func summary(s node.Status) string {
	switch {
	case s.Client != nil && s.Client.Problem != "":
		return fmt.Sprintf("%v: %s", s.Client.Phase, s.Client.Problem)
	case s.Client != nil:
		return s.Client.Phase.String()
	case s.Authority != nil && s.Authority.Problem != "":
		return "problem: " + s.Authority.Problem
	case s.Authority != nil && s.Authority.Consensus.IsZero():
		return "no consensus yet"
	case s.Authority != nil:
		return fmt.Sprintf("%d relays listed", s.Authority.Listed)
	case s.Relay != nil && s.Relay.Problem != "":
		return "problem: " + s.Relay.Problem
	case s.Relay != nil && s.Relay.Listed:
		return "listed: " + s.Relay.Flags
	}
	return "not listed yet"
}

// clock writes a time for people, in UTC.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// rounded cuts a duration to what a person reads.
func rounded(d time.Duration) time.Duration { return max(0, d.Round(time.Second)) }

// traffic writes sums of bytes and their mean over a time.
func traffic(read, written uint64, over time.Duration) string {
	mean := func(n uint64) string { return size(uint64(float64(n) / max(1, over.Seconds()))) }
	return fmt.Sprintf("%s read, %s written, on average %s/s and %s/s", size(read), size(written), mean(read), mean(written))
}

// size writes a number of bytes for people.
func size(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/unit, 0
	for f >= unit && i < 3 {
		f, i = f/unit, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGT"[i])
}
