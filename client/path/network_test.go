package path

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func idOf(name string) keys.RelayID { return sha256.Sum256([]byte(name)) }

// draw makes a consensus from a drawing: a relay a line, its name, address and
// bandwidth, which is its share of each position that it may have, then flags
// (guard, down, invalid), ports=SUMMARY, family=NAMES, group=NAME, voucher=NAME,
// as=NUMBER and listed=DATE,
// since when it has served. Its rules are those of a test network.
func draw(t testing.TB, drawing string) *directory.Consensus {
	t.Helper()
	var c directory.Consensus
	for line := range strings.Lines(drawing) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		bw, err := strconv.ParseUint(f[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		r := directory.Relay{ID: idOf(f[0]), Nickname: f[0], Weight: bw, Flags: directory.Running | directory.Valid | directory.Fast | directory.Stable}
		for a := range strings.SplitSeq(f[1], ",") {
			r.Addrs = append(r.Addrs, netip.AddrPortFrom(netip.MustParseAddr(a), 9001))
		}
		for _, word := range f[3:] {
			apply(t, &r, word)
		}
		c.Relays = append(c.Relays, r)
	}
	sortRelays(c.Relays)
	share(&c)
	c.Relaxed = []string{rules.Small, rules.Test}
	return &c
}

// share gives each relay its weight times its position weight as its share of
// each position that its flags and its policy let it have.
func share(c *directory.Consensus) {
	for i := range c.Relays {
		r := &c.Relays[i]
		r.Shares = directory.Shares{}
		for p, may := range [...]bool{r.Flags.Has(directory.Guard), true, exits(r)} {
			if may {
				r.Shares[p] = r.Weight * c.Weights.Of(directory.Position(p), r.Flags)
			}
		}
	}
}

func apply(t testing.TB, r *directory.Relay, word string) {
	t.Helper()
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "guard":
		r.Flags |= directory.Guard
	case "down":
		r.Flags &^= directory.Running
	case "invalid":
		r.Flags &^= directory.Valid
	case "ports":
		r.Ports, r.Flags = ports(t, value), r.Flags|directory.Exit
	case "ports6":
		r.Ports6 = ports(t, value)
	case "family":
		for name := range strings.SplitSeq(value, ",") {
			r.Family = append(r.Family, directory.DigestOf([]byte(name)))
		}
	case "group":
		r.Group = directory.DigestOf([]byte(value))
	case "voucher":
		r.Voucher = directory.DigestOf([]byte(value))
	case "as":
		_, err := fmt.Sscan(value, &r.AS)
		if err != nil {
			t.Fatal(err)
		}
	case "listed":
		at, err := time.Parse(time.DateOnly, value)
		if err != nil {
			t.Fatal(err)
		}
		r.FirstListed, r.Age = at, int(start.Sub(at)/day)
	default:
		t.Fatalf("unknown word %q", word)
	}
}

func ports(t testing.TB, s string) directory.PortSummary {
	t.Helper()
	p, err := directory.ParsePortSummary(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sortRelays(r []directory.Relay) {
	slices.SortFunc(r, func(a, b directory.Relay) int { return bytes.Compare(a.ID[:], b.ID[:]) })
}

// big makes a consensus of n relays in as many subnets as fit, with bandwidths
// over four orders of magnitude; a third are guards, a fifth are exits.
func big(t testing.TB, n int, rng *rand.Rand) *directory.Consensus {
	t.Helper()
	web := ports(t, "80,443,8000-8100")
	var c directory.Consensus
	for i := range n {
		r := directory.Relay{ID: idOf(fmt.Sprint("relay", i)), Nickname: fmt.Sprint("relay", i), Weight: uint64(10 * (1 + rng.ExpFloat64()*2000)),
			Flags: directory.Running | directory.Valid, FirstListed: start.AddDate(0, 0, -rng.IntN(1500)).Truncate(day)}
		r.Age = int(start.Sub(r.FirstListed) / day)
		a := netip.AddrFrom4([4]byte{byte(20 + i/256%200), byte(i), byte(rng.Uint32()), byte(rng.Uint32())})
		r.Addrs = []netip.AddrPort{netip.AddrPortFrom(a, 443)}
		if rng.IntN(3) == 0 {
			r.Flags |= directory.Guard | directory.Fast | directory.Stable
		}
		if rng.IntN(5) == 0 {
			r.Flags |= directory.Exit
			r.Ports = web
		}
		if rng.IntN(2) == 0 {
			r.Family = []directory.Digest{directory.DigestOf([]byte{byte(rng.IntN(n/4 + 1)), byte(rng.IntN(n/1024 + 1))})}
		}
		c.Relays = append(c.Relays, r)
	}
	sortRelays(c.Relays)
	share(&c)
	return &c
}

// seven is a test network: seven relays in /16s of their own, three exits.
const seven = `
	a 127.1.0.1 100 guard
	b 127.2.0.1 100 guard
	c 127.3.0.1 100 guard
	d 127.4.0.1 100 guard
	x 127.5.0.1 100 guard ports=*
	y 127.6.0.1 100 guard ports=*
	z 127.7.0.1 100 guard ports=*`

// client is guards and a view of a drawn network, at a time that it moves.
type client struct {
	t   testing.TB
	v   *View
	g   *Guards
	now time.Time
	rng *rand.Rand
}

func newClient(t testing.TB, drawing string) *client {
	t.Helper()
	c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(7)}
	c.update(draw(t, drawing))
	return c
}

func (c *client) update(consensus *directory.Consensus) {
	c.v = NewView(consensus, Options{})
	c.g.Update(c.v, c.now, c.rng)
}

func (c *client) after(d time.Duration) { c.now = c.now.Add(d) }

// get selects a path, which must exist.
func (c *client) get(n Need) (Path, *Attempt) {
	c.t.Helper()
	p, a, err := c.v.Select(c.g, n, c.now, c.rng)
	if err != nil {
		c.t.Fatalf("Select(%v): %v", n, err)
	}
	return p, a
}

// reach selects a path and has its guard answer.
func (c *client) reach(n Need) (Path, *Attempt) {
	c.t.Helper()
	p, a := c.get(n)
	c.g.Reached(a, c.now)
	return p, a
}

// kill fails attempts until the guard is not chosen any more, and returns it.
func (c *client) kill(a *Attempt) keys.RelayID {
	c.g.Failed(a, c.now, c.rng)
	return a.Guard()
}

func (c *client) primary(i int) keys.RelayID { return c.g.primary[i].id }

// name returns the nickname of a relay of a drawing.
func (c *client) name(id keys.RelayID) string {
	for i := range c.v.consensus.Relays {
		if r := &c.v.consensus.Relays[i]; r.ID == id {
			return r.Nickname
		}
	}
	return "?"
}
