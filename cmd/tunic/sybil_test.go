package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tunic/client"
	"tunic/cmd/localnet"
	"tunic/cmd/node"
	"tunic/directory/authority"
	"tunic/directory/mirror"
)

// call runs a command of this program and returns what it prints.
func call(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(io.Discard)
	err := root.ExecuteContext(ctx)
	return out.String(), err
}

// swarm starts many relays at once, at neighbouring addresses of one /24.
func swarm(t *testing.T, network string, count int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, count)
	for i := range count {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 250, 0, byte(1 + i)}), 0)
		ln, err := net.Listen("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		listen := ln.Addr().(*net.TCPAddr).AddrPort()
		ln.Close()
		cfg := node.RelayConfig{
			Common:   node.Common{Network: network, State: filepath.Join(t.TempDir(), "state"), MaxQueueMemory: 64 << 20},
			Nickname: fmt.Sprintf("swarm%d", i), Listen: []netip.AddrPort{listen}, Address: []netip.AddrPort{listen}, ExitPolicy: []string{"accept *:*"},
		}
		go func() { ended <- node.RunRelay(ctx, cfg, node.Options{Log: slog.New(slog.DiscardHandler)}) }() // ends with ctx
	}
	t.Cleanup(func() {
		cancel()
		for range count {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}

// swarmSize is how many relays the test starts, and swarmLimit how many the
// network takes of one /24.
const swarmSize, swarmLimit = 20, 8

var swarmRange = netip.MustParsePrefix("127.250.0.0/24")

// Twenty relays that are started at once in one /24 are let in up to the limit,
// held in quarantine with a reason that people are shown, and no circuit goes
// through two of them.
func TestSwarmOfRelaysInOneRange(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network")
	}
	ln, err := net.Listen("tcp", "127.250.0.1:0")
	if err != nil {
		t.Skip("only 127.0.0.1 answers here: there are no ranges")
	}
	ln.Close()
	a := attacked(t, localnet.Plan{Authorities: 3, Relays: 5, Exits: 3, Clients: 1})
	swarm(t, a.file, swarmSize)
	a.shown(t)
	t.Run("the consensus follows from its votes", a.audited)
	t.Run("no circuit goes through two", a.circuits)
	t.Run("operators see why", a.told)
	t.Run("a majority of them lifts it", a.lifted)
}

// Twenty relays that are started with the network, each in a /16 of its own, have
// version, platform and hour in common, as all founders have: nothing follows.
func TestFoundersAreNotSuspected(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network")
	}
	a := attacked(t, localnet.Plan{Authorities: 1, Relays: 20, MaxMemory: 64 << 20})
	complete := 0
	a.await(t, func(out string) bool {
		if strings.Contains(out, "\n20 relays\n") {
			complete++
		}
		return complete == 40 // looked at for some two seconds: more than one consensus
	})
}

// attacked starts a network in this process, with short periods for a minute.
func attacked(t *testing.T, plan localnet.Plan) *attack {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	plan.Dir, plan.Rounds = filepath.Join(t.TempDir(), "net"), 60
	n, err := localnet.StartInProcess(ctx, plan, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &attack{ctx: ctx, net: n, file: filepath.Join(n.Plan.Dir, "network.toml")}
}

type attack struct {
	ctx  context.Context
	net  *localnet.InProcess
	file string // of the network
}

// show returns what network show prints of the newest consensus.
func (a *attack) show(t *testing.T) string {
	t.Helper()
	out, err := call(a.ctx, "network", "show", "--network", a.file, "consensus")
	if err != nil {
		if a.ctx.Err() == nil && strings.Contains(err.Error(), mirror.ErrNotFound.Error()) {
			return "" // the first is still to come
		}
		t.Fatal(err)
	}
	listed := regexp.MustCompile(`(?m)^  swarm\d+ .*127\.250\.0`).FindAllString(out, -1)
	if len(listed) > swarmLimit {
		t.Errorf("%d of the swarm are listed:\n%s", len(listed), out)
	}
	if honest := regexp.MustCompile(`(?m)^quarantine: relay|^refused: relay`).FindString(out); honest != "" {
		t.Errorf("an honest relay is suspected:\n%s", out)
	}
	return out
}

// await calls show until what it prints is as wanted.
func (a *attack) await(t *testing.T, ok func(out string) bool) string {
	t.Helper()
	for {
		out := a.show(t)
		if ok(out) {
			return out
		}
		select {
		case <-a.ctx.Done():
			t.Fatalf("in vain:\n%s", out)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

var heldLine = regexp.MustCompile(`(?m)^quarantine: swarm\d+ until .* UTC, (cluster|batch) \(.*\), group `)

func (a *attack) shown(t *testing.T) {
	a.await(t, func(out string) bool {
		return len(heldLine.FindAllString(out, -1)) == swarmLimit &&
			strings.Count(out, ", range24 (too many relays of one IPv4 /24 or IPv6 /48), by ") == swarmSize-swarmLimit
	})
}

func (a *attack) audited(t *testing.T) {
	out, err := call(a.ctx, "network", "audit", "--network", a.file)
	if err != nil || !strings.Contains(out, "the same, byte for byte") {
		t.Errorf("%v\n%s", err, out)
	}
}

// circuits opens many circuits with a client that has just come.
func (a *attack) circuits(t *testing.T) {
	site, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer site.Close()
	go func() { // ends with site
		for {
			c, err := site.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	c, err := client.Open(a.ctx, client.Config{Network: a.net.File, StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	through := 0
	const count = 40
	for i := range count {
		conn, err := c.Dial(a.ctx, client.Request{Host: "127.0.0.1", Port: uint16(site.Addr().(*net.TCPAddr).Port), Isolation: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		hops, _ := client.CircuitHops(conn)
		conn.Close()
		for k, h := range hops {
			if !swarmRange.Contains(h.Addrs[0].Addr()) {
				continue
			}
			through++
			if k != 1 {
				t.Errorf("circuit %d: one of the swarm is hop %d", i, k)
			}
		}
	}
	if through > count*3/4 {
		t.Errorf("%d of %d circuits go through one of the swarm, whose /24 gets a third of the middles", through, count)
	}
	t.Logf("%d of %d circuits had one of the swarm in the middle", through, count)
}

// told asks a running authority.
func (a *attack) told(t *testing.T) {
	state := a.net.Node("auth1").State()
	out, err := call(a.ctx, "authority", "relays", "--state", state)
	if err != nil || strings.Count(out, "  refused: range24") != swarmSize-swarmLimit || strings.Count(out, "  quarantine, in force: ") != swarmLimit {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = call(a.ctx, "authority", "history", "swarm3", "--state", state)
	if err != nil || !strings.Contains(out, "127.250.0.4:") || !strings.Contains(out, "restarts: 20") || !strings.Contains(out, "quarantine, by this authority") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, args := range [][]string{{"relays"}, {"history", "swarm3"}, {"quarantine", "list"}} {
		out, err := call(a.ctx, append(append([]string{"authority"}, args...), "--state", state, "--json")...)
		if err != nil || !json.Valid([]byte(out)) {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	if _, err := call(a.ctx, "authority", "history", "nobody", "--state", state); err == nil || !strings.Contains(err.Error(), "no such relay") {
		t.Errorf("of a relay that is not there: %v", err)
	}
}

// lifted has two of three authorities lift the quarantine of the whole group.
func (a *attack) lifted(t *testing.T) {
	for _, name := range []string{"auth1", "auth2"} {
		var r authority.QuarantineReport
		state := a.net.Node(name).State()
		out, err := call(a.ctx, "authority", "quarantine", "list", "--state", state, "--json")
		if err == nil {
			err = json.Unmarshal([]byte(out), &r)
		}
		if err != nil || len(r.Groups) != 1 || len(r.Groups[0].Members) != swarmSize {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		group := r.Groups[0].ID.String() // an authority may have a name of its own for it until the consensus has one
		out, err = call(a.ctx, "authority", "quarantine", "lift", "--note", "known to us", "--state", state, "--", group[:10])
		if err != nil || !strings.Contains(out, fmt.Sprintf("lift for %d relays", swarmSize)) {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	a.await(t, func(out string) bool { return !strings.Contains(out, "\nquarantine: ") })
	journal, err := os.ReadFile(filepath.Join(a.net.Node("auth3").State(), "quarantine.jsonl"))
	if err != nil || bytes.Count(journal, []byte(`"by":"consensus","what":"ends"`)) != swarmLimit {
		t.Errorf("the journal of an authority that was not asked: %v\n%s", err, journal)
	}
}
