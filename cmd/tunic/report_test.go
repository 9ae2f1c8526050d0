package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"tunic/client"
)

// A client's status tells which groups its guards belong to, why one is in
// quarantine, and how much any group may see.
func TestStatusTellsGroupsOfGuards(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	s := &client.Status{
		Consensus: client.ConsensusStatus{Relays: 9, Relaxed: []string{"small", "young"}},
		Guards: []client.GuardStatus{
			{Nickname: "first", State: "reachable", Primary: true, Confirmed: true, Kept: true,
				Quarantine: &client.QuarantineStatus{Code: "cluster", Until: now.Add(48 * time.Hour)},
				Groups: client.GroupStatus{Families: []string{"abcdefghijklmnop"}, Inferred: "qrstuvwxyzabcdef", Voucher: "0123456789abcdef",
					Subnets: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, AS: 64500, Country: "IS", Cohort: "2029-12-17"}},
			{Nickname: "spare", State: "untried", Groups: client.GroupStatus{AS: 64501}},
		},
		Draws: client.DrawStatus{Day: 1, DayLimit: 1, Month: 3, MonthLimit: 3, Year: 4, YearLimit: 6, HeldUntil: now.Add(24 * time.Hour)},
		Exposure: []client.ExposureStatus{
			{By: "cohort", Name: "2029-12-17", Guard: 0.051, Exit: 0.043, Held: true, Year: 1},
			{By: "country", Name: "IS", Guard: 0.02, Exit: 0.01, Year: 0.123},
		},
	}
	var b strings.Builder
	printClient(&b, s, nil, time.Hour, now)
	text := b.String()
	for _, want := range []string{
		"rules relaxed: small young",
		"kept for some days",
		"10.1.0.0/16, AS64500, IS, family abcdefghij, found to be of group qrstuvwxyz, vouched for by family 0123456789, newcomer of 2029-12-17",
		"IN QUARANTINE until 2030-01-03 00:00:00 UTC (cluster): it has more in common",
		"new guards: 1 of 1 today, 3 of 3 in 30 days, 4 of 6 in a year; NO OTHER before 2030-01-02",
		"cohort 2029-12-17", "5.1 % of guards, 4.3 % of exits", "100.0 %", "one of your guards is of it", "12.3 %",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "64501") {
		t.Errorf("a guard that is not in use is described:\n%s", text)
	}
}
