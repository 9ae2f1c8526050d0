package directory_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

func TestNetworkFileComesBack(t *testing.T) {
	n := fullNetwork()
	doc, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := directory.ParseNetwork(doc)
	if err != nil {
		t.Fatalf("%v in\n%s", err, doc)
	}
	if !reflect.DeepEqual(got, n) {
		t.Errorf("comes back as\n%+v, want\n%+v", got, n)
	}
}

func TestNetworkFileErrorsNameTheLine(t *testing.T) {
	doc, _ := fullNetwork().Encode()
	for name, tc := range map[string]struct{ old, new, want string }{
		"unknown key":      {"[timing]", "colour = \"blue\"\n[timing]", "colour"},
		"unknown subkey":   {"initial_rounds", "initial_sounds", "initial_sounds"},
		"bad duration":     {"vote_round = \"150ms\"", "vote_round = \"soon\"", "vote_round"},
		"bad key":          {"link_key = \"", "link_key = \"!", "link_key"},
		"bad address":      {"\"127.0.0.1:5001\"", "\"localhost:5001\"", "want an address"},
		"port 0":           {"\"127.0.0.1:5001\"", "\"127.0.0.1:0\"", "want an address"},
		"bad time":         {".200Z", ".2Z", "want a time"},
		"not TOML":         {"[timing]", "[timing", "line 8, column 9"},
		"version":          {"version = 1", "version = 2", "version 2"},
		"no version":       {"version = 1", "", "version 0"},
		"name with space":  {"test-1.example_net", "two words", "name"},
		"same twice":       {"name = \"auth2\"", "name = \"auth1\"", "occurs twice"},
		"rounds too long":  {"vote_round = \"150ms\"", "vote_round = \"600ms\"", "more than a period"},
		"wrong type":       {"initial_rounds = 10", "initial_rounds = \"10\"", "initial_rounds"},
		"negative":         {"initial_rounds = 10", "initial_rounds = -1", "initial_rounds"},
		"half the initial": {"initial_rounds = 10", "", "go together"},
		"public network":   {"private_addresses = true", "private_addresses = false", "private"},
	} {
		text := strings.Replace(string(doc), tc.old, tc.new, 1)
		if text == string(doc) {
			t.Fatalf("%s: %q is not in\n%s", name, tc.old, doc)
		}
		_, err := directory.ParseNetwork([]byte(text))
		if !errors.Is(err, directory.ErrMalformed) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v; want ErrMalformed with %q", name, err, tc.want)
		}
	}
	if _, err := directory.ParseNetwork([]byte("tunic identity key, version 1\npublic AAAA\nprivate BBBB\n")); err == nil || strings.Contains(err.Error(), "BBBB") {
		t.Errorf("a private key in place of a network file: %v", err)
	}
	if _, err := directory.ParseNetwork(make([]byte, directory.MaxNetworkFile+1)); !errors.Is(err, directory.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestNetworkChecks(t *testing.T) {
	for name, change := range map[string]func(n *directory.Network){
		"no authority":      func(n *directory.Network) { n.Authorities = nil },
		"no name":           func(n *directory.Network) { n.Name = "" },
		"identity twice":    func(n *directory.Network) { n.Authorities[1].ID = n.Authorities[0].ID },
		"link key twice":    func(n *directory.Network) { n.Authorities[1].LinkKey = n.Authorities[0].LinkKey },
		"note key twice":    func(n *directory.Network) { n.Authorities[1].NoteKey = n.Authorities[0].NoteKey },
		"no identity":       func(n *directory.Network) { n.Authorities[1].ID = keys.RelayID{} },
		"no link key":       func(n *directory.Network) { n.Authorities[1].LinkKey = keys.LinkPublic{} },
		"another's address": func(n *directory.Network) { n.Authorities[1].Addrs = n.Authorities[0].Addrs },
		"no address":        func(n *directory.Network) { n.Authorities[1].Addrs = nil },
		"address twice":     func(n *directory.Network) { a := &n.Authorities[0]; a.Addrs = append(a.Addrs, a.Addrs[0]) },
		"fallback twice":    func(n *directory.Network) { n.Fallbacks = append(n.Fallbacks, n.Fallbacks[0]) },
		"start of 2300":     func(n *directory.Network) { n.Timing.Start = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) },
		"microseconds":      func(n *directory.Network) { n.Timing.Start = n.Timing.Start.Add(time.Microsecond) },
		"period of 1 ms":    func(n *directory.Network) { n.Timing.Period = time.Millisecond },
		"too short to vote": func(n *directory.Network) { n.Timing.VoteRound = time.Millisecond },
		"initial is longer": func(n *directory.Network) { n.Timing.InitialPeriod = time.Hour },
		"unwhole":           func(n *directory.Network) { n.Timing.SignTime += time.Microsecond },
		"10 initial of 0":   func(n *directory.Network) { n.Timing.InitialPeriod = 0 },
		"1001 initial":      func(n *directory.Network) { n.Timing.InitialRounds = 1001 },
	} {
		n := fullNetwork()
		change(n)
		if err := n.Check(); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
		if _, err := n.Encode(); err == nil {
			t.Errorf("%s: encodes", name)
		}
	}
}

func TestNetworkDigest(t *testing.T) {
	n := fullNetwork()
	d := n.Digest()
	n.Authorities[0], n.Authorities[1] = n.Authorities[1], n.Authorities[0]
	n.Authorities[0].LinkKey[0]++
	n.Timing.Period++
	n.Fallbacks = nil
	if n.Digest() != d {
		t.Error("order, link keys, timing or fallbacks change the network's digest")
	}
	n.Name += "x"
	if n.Digest() == d {
		t.Error("the name does not change the network's digest")
	}
	n = fullNetwork()
	if n.Digest() == d {
		t.Error("other authorities do not change the network's digest")
	}
}
