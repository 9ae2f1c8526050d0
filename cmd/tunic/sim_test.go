package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tunic/cmd/internal/sim"
)

func runSim(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(append([]string{"sim"}, args...))
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.Execute()
	return out.String(), err
}

// Scripts read these names.
func TestSimRunPrintsAnObjectForEachAlgorithm(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.toml")
	if err := os.WriteFile(file, []byte("[adversary]\nrelays = 30\nguard_share = 0.2\nexit_share = 0.2\nwait_days = 100\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := runSim(t, "run", "--population", "synth:300", "--scenario", file, "--days", "8", "--clients", "200", "--seed", "1",
		"--start", "steady", "--algorithms", "tunic,tor,tor-noguards,uniform", "--json", "--csv", dir, "--svg", dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 4 {
		t.Fatalf("%v: %s", err, out)
	}
	for i, want := range sim.Algorithms() {
		if all[i]["algorithm"] != want {
			t.Errorf("algorithm %v, want %s", all[i]["algorithm"], want)
		}
		for _, key := range []string{"throughput_vs_tor", "guard_entropy_bits", "exit_entropy_bits", "refused", "quarantined", "runtime_s"} {
			if _, ok := all[i][key].(float64); !ok {
				t.Errorf("%s: %s is %v", want, key, all[i][key])
			}
		}
		compromised, _ := all[i]["compromised"].(map[string]any)
		for _, share := range []any{all[i]["circuits_bad"], compromised["1"], compromised["7"]} {
			s, _ := share.(map[string]any)
			if len(s) != 3 || s["low"].(float64) > s["share"].(float64) || s["high"].(float64) < s["share"].(float64) {
				t.Errorf("%s: share %v", want, share)
			}
		}
		if compromised["30"] != nil {
			t.Errorf("%s: a run of 8 days knows of 30", want)
		}
	}
	for _, name := range []string{"summary.csv", "days.csv", "mine-compromised.svg", "mine-shares.svg", "mine-load.svg"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() < 200 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSimRefusesWhatCannotBeMeant(t *testing.T) {
	for want, args := range map[string][]string{
		"no such algorithm": {"run", "--population", "synth:50", "--scenario", "cmu", "--algorithms", "tor,best"},
		"none is named":     {"run", "--population", "synth:50", "--scenario", "cmu", "--algorithms", ""},
		"no such start":     {"run", "--population", "synth:50", "--scenario", "cmu", "--start", "late"},
		"no such rule":      {"run", "--population", "synth:50", "--scenario", "cmu", "--param", "cap_24=3"},
		"no such defence":   {"run", "--population", "synth:50", "--scenario", "cmu", "--ablate", "luck"},
		"--threads -1":      {"run", "--population", "synth:50", "--scenario", "cmu", "--threads", "-1"},
		"--providers -1":    {"run", "--population", "synth:50", "--scenario", "cmu", "--providers", "-1"},
		"--mean-age 0":      {"run", "--population", "synth:50", "--scenario", "cmu", "--mean-age", "0"},
		"--mean-stay -5":    {"table", "--population", "synth:50", "--mean-stay", "-5"},
		"--tor-guard-days":  {"table", "--population", "synth:50", "--tor-guard-days", "-1"},
		"use 1 to 3650":     {"run", "--population", "synth:50", "--scenario", "cmu", "--param", "guard_life_least=-1"},
		"NAME=NUMBER":       {"run", "--population", "synth:50", "--scenario", "cmu", "--param", "cap_24_g"},
		"no such row":       {"table", "--population", "synth:50", "--rows", "nobody"},
	} {
		_, err := runSim(t, args...)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	if _, err := runSim(t, "run", "--population", "synth:50", "--scenario", "nobody"); err == nil || !strings.Contains(err.Error(), "kax17") {
		t.Errorf("an unknown scenario: %v", err)
	}
}
