package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"tunic/directory"
	"tunic/directory/authority"
)

// printRelays lists relays, and below each why it lacks what it lacks.
func printRelays(w io.Writer, list []authority.RelayReport, reasons bool) {
	refused, held, listed := 0, 0, 0
	for i := range list {
		r := &list[i]
		if r.Refused != "" {
			refused++
		}
		if r.InForce != nil {
			held++
		}
		if r.Listed {
			listed++
		}
	}
	fmt.Fprintf(w, "%d relays, %d in the consensus, %d refused, %d in quarantine\n", len(list), listed, refused, held)
	for i := range list {
		printRelayReport(w, &list[i], reasons)
	}
}

func printRelayReport(w io.Writer, r *authority.RelayReport, reasons bool) {
	fmt.Fprintf(w, "%s %v %v\n", r.Nickname, r.ID, r.Addresses)
	where := ""
	if r.AS != 0 {
		where = fmt.Sprintf(", AS%d %s", r.AS, r.Country)
	}
	fmt.Fprintf(w, "  %d kB/s, listed since %s, %s%s\n", r.Weight, date(r.FirstListed), days(r.Age, r.CountsFor), where)
	fmt.Fprintf(w, "  flags: %s; shares: %s\n", cmp.Or(r.Flags, "none"), shares(r.Shares))
	if !r.Listed {
		fmt.Fprintln(w, "  not in the consensus")
	} else if r.Consensus != r.Flags {
		fmt.Fprintf(w, "  in the consensus: %s\n", r.Consensus)
	}
	if r.Refused != "" {
		fmt.Fprintf(w, "  refused: %s\n", rule(r.Refused))
	}
	if !r.Group.IsZero() {
		fmt.Fprintf(w, "  group %s\n", short(r.Group.String()))
	}
	if r.Quarantine != nil {
		fmt.Fprintf(w, "  quarantine, by this authority: %s, until %s\n", code(r.Quarantine.Code), clock(r.Quarantine.Until))
	}
	if r.InForce != nil {
		fmt.Fprintf(w, "  quarantine, in force: %s, until %s\n", code(r.InForce.Code), clock(r.InForce.Until))
	}
	for _, why := range r.Reasons {
		switch {
		case why.Has && reasons:
			fmt.Fprintf(w, "  %s: %s\n", why.Flag, why.Why)
		case !why.Has:
			fmt.Fprintf(w, "  no %s: %s\n", why.Flag, why.Why)
		}
	}
}

// days tells an age, and what it counts as where that is another.
func days(age, counts int) string {
	text := fmt.Sprintf("%d days old", age)
	if age == 1 {
		text = "1 day old"
	}
	if counts != age {
		text += fmt.Sprintf(" (counts as %d)", counts)
	}
	return text
}

// shares tells what a relay counts in each position.
func shares(s directory.Shares) string {
	if s == (directory.Shares{}) {
		return "none"
	}
	return fmt.Sprintf("guard %d, middle %d, exit %d", s[directory.AsGuard], s[directory.AsMiddle], s[directory.AsExit])
}

// rule says in words which limit of admission a name means.
func rule(name string) string {
	if text, ok := map[string]string{
		"address":        "too many relays of one address",
		"net64":          "too many relays of one IPv6 /64",
		"range24":        "too many relays of one IPv4 /24 or IPv6 /48",
		"range16":        "too many relays of one IPv4 /16 or IPv6 /32",
		"as":             "too many relays of one autonomous system",
		"new-on-address": "too many new identities at one address",
	}[name]; ok {
		return name + " (" + text + ")"
	}
	return name
}

// code says in words what a quarantine's code means.
func code(name string) string {
	if text, ok := map[string]string{
		"batch":   "arrived together with too many others",
		"cluster": "has more in common with others than chance gives",
		"manual":  "put there by operators",
	}[name]; ok {
		return name + " (" + text + ")"
	}
	return name
}

func printHistory(w io.Writer, h *authority.HistoryReport) {
	printRelayReport(w, &h.RelayReport, true)
	fmt.Fprintf(w, "first seen %s, last reached %s\n", clock(h.FirstSeen), clock(h.LastReached))
	fmt.Fprintf(w, "up %.1f %% of %v known, %v between failures (old times count less)\n",
		100*h.FractionUp, seconds(h.Known), seconds(h.BetweenFailures))
	for _, had := range h.Had {
		if len(had.Spells) == 1 && had.Spells[0].What == "" {
			continue // never had any
		}
		tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		fmt.Fprintf(w, "%s:\n", had.Attribute)
		for _, s := range had.Spells {
			fmt.Fprintf(tw, "  %s to %s\t%s\n", clock(s.From), clock(s.To), cmp.Or(s.What, "-"))
		}
		_ = tw.Flush()
	}
	fmt.Fprintln(w, "reached:")
	for _, r := range h.Runs {
		end := "now"
		if !r.To.IsZero() {
			end = clock(r.To)
		}
		fmt.Fprintf(w, "  %s to %s\n", clock(r.From), end)
	}
	fmt.Fprintf(w, "restarts: %s\nkey changes: %s\n", cmp.Or(strings.Join(h.Restarts, ", "), "none"), cmp.Or(strings.Join(h.KeyChanges, ", "), "none"))
}

func seconds(s float64) time.Duration {
	return rounded(time.Duration(min(s, 1e9) * float64(time.Second)))
}

func printQuarantine(w io.Writer, r *authority.QuarantineReport) {
	fmt.Fprintf(w, "%d groups, %d relays in quarantine without one\n", len(r.Groups), len(r.Alone))
	for i := range r.Groups {
		g := &r.Groups[i]
		fmt.Fprintf(w, "group %v, %d relays\n", g.ID, len(g.Members))
		if g.Code != "" {
			fmt.Fprintf(w, "  %s, found %s, %.0f bits: %s\n", code(g.Code), clock(g.Since), g.Bits, g.Why)
		} else {
			fmt.Fprintln(w, "  the consensus names it; this authority did not find it")
		}
		printHeld(w, g.Members)
	}
	if len(r.Alone) > 0 {
		fmt.Fprintln(w, "in no group")
		printHeld(w, r.Alone)
	}
	for _, d := range r.Decisions {
		fmt.Fprintf(w, "decided %s: %s %v", clock(d.At), d.Action, d.Target)
		if !d.Until.IsZero() {
			fmt.Fprintf(w, " until %s", clock(d.Until))
		}
		if d.Note != "" {
			fmt.Fprintf(w, ": %s", d.Note)
		}
		fmt.Fprintln(w)
	}
}

// printHeld lists relays with the quarantine that this authority votes for and
// the one in force.
func printHeld(w io.Writer, relays []authority.RelayReport) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "  NICKNAME\tIDENTITY\tADDRESSES\tWE VOTE\tIN FORCE")
	held := func(h *authority.Held) string {
		if h == nil {
			return "-"
		}
		return h.Code + " until " + clock(h.Until)
	}
	for i := range relays {
		r := &relays[i]
		fmt.Fprintf(tw, "  %s\t%v\t%v\t%s\t%s\n", r.Nickname, r.ID, r.Addresses, held(r.Quarantine), held(r.InForce))
	}
	_ = tw.Flush()
}

func printDecided(w io.Writer, action string, until time.Time, about []authority.RelayReport) {
	fmt.Fprintf(w, "noted: %s for %d relays", action, len(about))
	if !until.IsZero() {
		fmt.Fprintf(w, ", until %s", clock(until))
	}
	fmt.Fprintln(w, "; it is in this authority's next vote, and counts when more than half vote alike")
	for i := range about {
		fmt.Fprintf(w, "  %s %v\n", about[i].Nickname, about[i].ID)
	}
}
