package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"tunic/directory"
	"tunic/directory/admission/weigh"
	"tunic/directory/authority"
	"tunic/directory/rules"
)

// A cut is a cap that cut a group's share of a position.
type cut struct {
	Position  string  `json:"position"`
	Dimension string  `json:"dimension"`
	Group     string  `json:"group"`
	Before    uint64  `json:"before"`   // its share before the caps
	After     uint64  `json:"after"`    // and after all of them
	Permille  float64 `json:"permille"` // of the position, after all of them
}

var positionNames = [...]string{directory.AsGuard: "guard", directory.AsMiddle: "middle", directory.AsExit: "exit"}

// cuts returns the caps that cut.
func cuts(r weigh.Result) (list []cut) {
	var after [3]uint64
	for _, s := range r.Shares {
		for p := range s {
			after[p] += s[p]
		}
	}
	for _, c := range r.Cuts {
		list = append(list, cut{
			Position: positionNames[c.Position], Dimension: c.Dimension.String(), Group: c.Group,
			Before: c.From, After: c.To, Permille: permille(c.To, max(1, after[c.Position])),
		})
	}
	return list
}

func permille(part, all uint64) float64 { return 1000 * float64(part) / float64(all) }

// printCuts says which caps cut whom, and where they could not hold.
func printCuts(w io.Writer, r weigh.Result) {
	list := cuts(r)
	for p, name := range positionNames {
		if r.Uncapped[p] {
			fmt.Fprintf(w, "no relay may carry anything as %s by its age: ages and caps don't count there\n", name)
		}
		if r.Unsettled[p] {
			fmt.Fprintf(w, "the caps of %s contradict each other in a network so small: not all of them hold\n", name)
		}
	}
	if len(list) == 0 {
		fmt.Fprintln(w, "no cap cuts anybody's share")
		return
	}
	fmt.Fprintf(w, "caps cut %d groups:\n", len(list))
	for _, c := range list[:min(len(list), maxLines)] {
		fmt.Fprintf(w, "  as %s, %s %s: from %d to %d, %.0f permille\n", c.Position, dimensionName(c.Dimension), c.Group, c.Before, c.After, c.Permille)
	}
	if len(list) > maxLines {
		fmt.Fprintf(w, "  and %d more\n", len(list)-maxLines)
	}
}

func dimensionName(d string) string {
	return cmp.Or(map[string]string{
		rules.BySlash24.String(): "range (/24, /48)", rules.BySlash16.String(): "range (/16, /32)", rules.ByAS.String(): "AS",
		rules.ByYoung.String(): "young relays", rules.ByCohort.String(): "first listed together", rules.ByGroup.String(): "suspected group",
	}[d], d)
}

// printRelaxed says which rules are relaxed.
func printRelaxed(w io.Writer, names []string) {
	for _, name := range names {
		fmt.Fprintf(w, "relaxed: %s (%s)\n", name, cmp.Or(map[string]string{
			rules.Small: "few relays: the widest caps, shorter times",
			rules.Wide:  "fewer relays than the caps are made for: wider caps, by their number",
			rules.Test:  "a test network: no waiting",
			rules.Young: "a young network: ages count for more, wider caps for newcomers",
		}[name], "by rules that this version does not know"))
	}
}

func printAudit(w io.Writer, n *directory.Network, r *auditReport) {
	fmt.Fprintf(w, "consensus valid after %s, digest %v, %d relays, verified: a majority signed it\n", r.ValidAfter, r.Digest, r.Relays)
	for _, v := range r.Votes {
		table := "none"
		if !v.ASTable.IsZero() {
			table = short(v.ASTable.String())
		}
		fmt.Fprintf(w, "vote of %s: %d relays, %d refused, table of networks: %s\n", v.Author, v.Relays, v.Refused, table)
	}
	printRelaxed(w, r.Relaxed)
	if r.Over > 0 {
		fmt.Fprintf(w, "the limits of admission keep out %d relays more than the votes refuse\n", r.Over)
	}
	printCuts(w, r.weights)
	if len(r.Departures) == 0 {
		fmt.Fprintln(w, "computed again from its votes: the same, byte for byte")
		return
	}
	fmt.Fprintf(w, "DEPARTS from the rules in %d places:\n", len(r.Departures))
	for _, d := range r.Departures[:min(len(r.Departures), 5*maxLines)] {
		fmt.Fprintf(w, "  %s says: %s; the rules give: %s\n", where(n, &d), cmp.Or(d.Says, "nothing"), cmp.Or(d.Rules, "nothing"))
	}
	if len(r.Departures) > 5*maxLines {
		fmt.Fprintf(w, "  and %d more, see --json\n", len(r.Departures)-5*maxLines)
	}
}

func where(n *directory.Network, d *authority.Departure) string {
	var parts []string
	if d.Vote != nil {
		parts = append(parts, "the vote of "+authorityName(n, *d.Vote))
	} else {
		parts = append(parts, "the consensus")
	}
	if d.Relay != nil {
		parts = append(parts, "of relay "+d.Relay.String())
	}
	return strings.Join(parts, " ")
}
