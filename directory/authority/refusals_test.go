package authority

import (
	"testing"

	"tunic/directory"
	"tunic/directory/admission/origin"
	"tunic/directory/directorytest"
)

func TestVotesSayWhereRelaysLie(t *testing.T) {
	table, err := origin.Parse([]byte("11.0.0.0/16 64500 DE\n11.1.0.0/16 64501\n"))
	if err != nil {
		t.Fatal(err)
	}
	n := directorytest.New(3)
	relays := n.Relays(3)
	votes := make([]*directory.Vote, 3)
	for i := range votes {
		votes[i] = ballotOf(t, n, i, relays, func(v *directory.Vote) {
			a := &Authority{cfg: Config{Origins: table}}
			if i == 2 { // has no table
				a = &Authority{}
			}
			a.place(v)
		})
	}
	for _, r := range tally(t, n, votes...).Relays {
		as, country := uint32(0), ""
		switch r.Nickname {
		case "relay0":
			as, country = 64500, "DE"
		case "relay1":
			as = 64501
		}
		if r.AS != as || r.Country != country {
			t.Errorf("%s: AS%d in %q, want AS%d in %q", r.Nickname, r.AS, r.Country, as, country)
		}
	}
	if c := tally(t, n, ballotOf(t, n, 0, relays), votes[1], votes[2]); c.Relays[0].AS != 0 || c.Relays[1].AS != 0 {
		t.Error("one authority of three decides where relays lie")
	}
}

// A network file that lets relays share subnets lifts the limits by address.
func TestSharedSubnetsHaveNoLimits(t *testing.T) {
	n := directorytest.NewWith(3, directory.Network{Name: "lab", SameSubnet: true, PrivateAddresses: true, Timing: directory.TestTiming(epoch)})
	relays := n.Relays(30)
	for i := range relays {
		relays[i].Addrs = relays[0].Addrs
	}
	for i, rule := range Refusals(n.Network, n.Vote(0, 0, relays)) {
		if rule != "" {
			t.Errorf("relay %d is refused by %s", i, rule)
		}
	}
}

// A vote that lists fewer relays than it might refuses as those that it lists
// give reason to.
func TestFewerRelaysAreRefusedAnew(t *testing.T) {
	n := directorytest.New(1)
	v := n.Vote(0, 0, crowd(n, 12))
	keepOut(n.Network, v)
	v.Entries = v.Entries[:6]
	keepOut(n.Network, v)
	for i := range v.Entries {
		if e := &v.Entries[i]; e.Refused != "" || !e.Flags.Has(directory.Valid) {
			t.Errorf("one of six is refused by %q, flags %v", e.Refused, e.Flags)
		}
	}
}
