package main

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tunic/cell/link"
	"tunic/circuit"
	"tunic/cmd/localnet"
	"tunic/directory"
	"tunic/directory/mirror"
)

const (
	strangers  = 2000
	floodRound = 1500 * time.Millisecond // of the initial rounds: votes have 450 ms, signatures 225
	floodTime  = 6 * time.Second         // at least, and
	floodMost  = 30 * time.Second        // until two rounds running went well: other programs may have the processors
)

// While 2,000 strangers fetch the consensus again and again, each from an
// address of its own, votes are on time: rounds bring a consensus that a majority
// voted for and signed.
func TestVotesAreOnTimeUnderAFlood(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network")
	}
	if runtime.GOOS != "linux" {
		t.Skip("needs other addresses of loopback than 127.0.0.1")
	}
	n := startNetwork(t, localnet.Plan{Dir: filepath.Join(t.TempDir(), "net"), Authorities: 3, Relays: 4, Exits: 1, Round: floodRound, Rounds: 30})

	// From the first consensus on.
	time.Sleep(time.Until(n.File.Timing.Start))
	ctx, cancel := context.WithTimeout(t.Context(), floodMost)
	defer cancel()
	from := time.Now()
	var fetched, failed, atOnce, most, connected atomic.Int64
	var all sync.WaitGroup
	for i := range strangers {
		all.Go(func() {
			s := stranger(i, n.File, sync.OnceFunc(func() { connected.Add(1) }))
			defer s.pool.Close()
			select { // they come within a second, as a crowd does, and not in one instant
			case <-time.After(time.Duration(i) * time.Second / strangers):
			case <-ctx.Done():
			}
			for ctx.Err() == nil {
				if k := atOnce.Add(1); k > most.Load() {
					most.Store(k)
				}
				err := s.fetch(ctx, n.File)
				atOnce.Add(-1)
				if err == nil {
					fetched.Add(1)
				} else {
					failed.Add(1)
				}
			}
		})
	}
	// The strangers share these few cores with the authorities, so that a vote may
	// miss a round for want of processor time: a majority never does. What the
	// shares keep for authorities is tested in virtual time by package authority.
	running := 0
	r, _ := n.File.RoundAt(from.Add(2 * floodRound)) // the first that all of them are there for
	for ; running < 2 || connected.Load() < strangers || fetched.Load() == 0 || time.Since(from) < floodTime; r = n.File.Round(r.Number + 1) {
		select {
		case <-time.After(time.Until(r.ValidAfter.Add(floodRound))):
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			t.Errorf("no two rounds running brought a consensus to two authorities within %v", floodMost)
			break
		}
		if running++; !cameOff(t, n, r) {
			running = 0
		}
	}
	cancel()
	all.Wait()
	t.Logf("%d strangers connected, up to %d asked at a time: %d fetches, %d refused or cut off", connected.Load(), most.Load(), fetched.Load(), failed.Load())
	if connected.Load() != strangers || most.Load() < strangers*3/4 || fetched.Load() == 0 || fetched.Load()+failed.Load() < strangers {
		t.Error("that was no flood")
	}
}

// cameOff reports whether a round brought a consensus to two of the authorities.
func cameOff(t *testing.T, n *localnet.Network, r directory.Round) bool {
	t.Helper()
	have := 0
	for _, name := range []string{"auth1", "auth2", "auth3"} {
		c, ok := published(t, n.Node(name))[r.ValidAfter.UnixMilli()]
		if !ok {
			t.Logf("%s has no consensus of round %d", name, r.Number)
			continue
		}
		have++
		t.Logf("%s, round %d: %d votes, %d signatures, %v after its time", name, r.Number, c.votes, c.signatures, c.late)
		if c.votes < 2 || c.signatures < 2 || c.relays != 4 {
			t.Errorf("%s, round %d: %+v", name, r.Number, c)
		}
	}
	return have >= 2
}

// A publication is one consensus at one authority.
type publication struct {
	votes, signatures, relays int
	late                      time.Duration // after its time
}

// logLine is a line of an authority's log that tells a consensus.
var logLine = regexp.MustCompile(`(?m)^time=(\S+) level=INFO msg=consensus valid_after=(\S+) relays=(\d+) votes=(\d+) signatures=(\d+)`)

// published returns what an authority's log says of consensuses, by their
// valid-after in milliseconds.
func published(t *testing.T, nd *localnet.Node) map[int64]publication {
	t.Helper()
	all := map[int64]publication{}
	for _, m := range logLine.FindAllStringSubmatch(readLog(t, nd), -1) {
		at, err := time.Parse(time.RFC3339Nano, m[1])
		if err != nil {
			t.Fatal(err)
		}
		validAfter, err := time.Parse(time.RFC3339Nano, m[2])
		if err != nil {
			t.Fatal(err)
		}
		p := publication{late: at.Sub(validAfter)}
		for i, v := range []*int{&p.relays, &p.votes, &p.signatures} {
			*v, _ = strconv.Atoi(m[3+i])
		}
		all[validAfter.UnixMilli()] = p
	}
	return all
}

// An asker is a client that fetches from one authority, from an address that is
// its alone.
type asker struct {
	pool *link.Pool
	from *directory.Authority
}

// stranger returns the asker with number i; connected, if not nil, is called
// whenever an authority has taken a connection of it.
func stranger(i int, n *directory.Network, connected func()) *asker {
	own := netip.AddrFrom4([4]byte{127, 100, byte(i >> 8), byte(i)})
	return &asker{from: &n.Authorities[i%len(n.Authorities)],
		pool: link.NewPool(link.Config{Network: n.Digest(), Transport: sourced{own, connected}, Limits: link.Limits{DialMemory: time.Millisecond, Workers: 1}})}
}

// fetch makes a link and a circuit if there is none, and fetches the consensus.
func (a *asker) fetch(ctx context.Context, n *directory.Network) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	l, err := a.pool.Dial(ctx, link.Target{ID: a.from.ID, Key: a.from.LinkKey, Addrs: a.from.Addrs})
	if err == nil {
		var c *circuit.Circuit
		if c, err = circuit.OpenDir(ctx, l, circuit.Params{Network: n.Digest()}); err == nil {
			defer c.Close()
			m := mirror.Client{Dial: func(ctx context.Context) (net.Conn, error) { return c.DialDir(ctx) }}
			_, err = m.Get(ctx, mirror.PathConsensus, directory.MaxBundle)
		}
	}
	if err != nil { // as real clients, not at once again
		select {
		case <-time.After(time.Duration(50+rand.IntN(200)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return err
}

// A sourced is TCP from one address.
type sourced struct {
	own       netip.Addr
	connected func() // nil: nobody counts
}

func (s sourced) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.own, 0))}
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if err == nil && s.connected != nil {
		s.connected()
	}
	return conn, err
}

func (sourced) Listen(netip.AddrPort) (net.Listener, error) { return nil, net.ErrClosed }
