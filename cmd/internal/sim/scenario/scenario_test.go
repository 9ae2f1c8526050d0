package scenario_test

import (
	"errors"
	"strings"
	"testing"

	"tunic/cmd/internal/sim/scenario"
)

func TestEveryScenarioThatComesAlongReads(t *testing.T) {
	names := scenario.Names()
	if len(names) < 10 {
		t.Fatalf("only %v", names)
	}
	for _, n := range names {
		s, err := scenario.Read(n)
		if err != nil {
			t.Errorf("%s: %v", n, err)
		} else if s.Adversary.Relays == 0 || s.Name != n {
			t.Errorf("%s: %+v", n, s)
		}
	}
}

func TestRefusalsNameTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"[adversary]\nrelays = 3\nbudget = 7\n":                 "line 3: unknown key adversary.budget",
		"[attacker]\nrelays = 3\n":                              "unknown key attacker",
		"[adversary]\nrelays = \"many\"\n":                      "line 2",
		"[adversary]\nguard_share = 0.1\n":                      "no relays",
		"[adversary]\nrelays = 1\nexit_share = 1.0\n":           "exit_share",
		"[adversary]\nrelays = 1\nexit_share = nan\n":           "exit_share",
		"[adversary]\nrelays = 600\nslash16=2\nslash24 = 513\n": "slash24",
		"[adversary]\nrelays = 1\nplace_near_clients = 5\n":     "place_near_clients = 5",
		"[adversary]\nrelays = 1\nplace_near_clients = nan\n":   "place_near_clients = NaN",
		"[adversary]\nrelays = 1\nplace_near_clients = \"x\"\n": "place_near_clients = x",
		"[clients]\nports = [70000]\n":                          "line 2",
		"[clients]\nports = [443, 0]\n":                         "ports",
	} {
		_, err := scenario.Parse([]byte(text))
		if !errors.Is(err, scenario.ErrScenario) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Integers stand for shares where a person would write them.
func TestWholeNumbersAreNumbers(t *testing.T) {
	s, err := scenario.Parse([]byte("[adversary]\nrelays = 10\nguard_share = 0\nclaim_factor = 10\nlinkable = 1\nplace_near_clients = 1\nchurn_guards_per_day = 5\n[clients]\nstreams_per_day = 100\n"))
	if err != nil {
		t.Fatal(err)
	}
	if a := s.Adversary; a.ClaimFactor != 10 || a.Linkable != 1 || a.Slash16 != 10 || a.Slash24 != 10 || a.Providers != 10 || s.Clients.StreamsPerDay != 100 {
		t.Errorf("%+v", s)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("[adversary]\nrelays = 10\nguard_share = 0.1\n[clients]\nports = [80]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := scenario.Parse(b)
		if err == nil && (s.Adversary.Slash24 < s.Adversary.Slash16 || len(s.Clients.Ports) == 0) {
			t.Errorf("%+v", s)
		}
	})
}
