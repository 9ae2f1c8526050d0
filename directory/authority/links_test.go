package authority_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/authority"
	"tunic/directory/keys"
	"tunic/relay"
)

// freeAddr returns a loopback address whose port nobody uses.
func freeAddr(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// TestConsensusOverRealLinks puts three authorities and a relay together as
// their programs do, and waits until all authorities list the relay.
func TestConsensusOverRealLinks(t *testing.T) {
	network := &directory.Network{Name: "links", PrivateAddresses: true, Timing: directory.TestTiming(time.Now())}
	var sets []*keys.Set
	for i := range 3 {
		set, err := keys.LoadOrCreateAuthority(t.TempDir(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		key, _ := set.Link()
		sets = append(sets, set)
		network.Authorities = append(network.Authorities, directory.Authority{
			Name: "auth" + string(rune('1'+i)), ID: set.ID(), LinkKey: key, Addrs: []netip.AddrPort{freeAddr(t)},
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	run := func(run func(context.Context) error) {
		running.Go(func() {
			if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}

	var authorities []*authority.Authority
	for i, set := range sets {
		r := newRelay(t, relay.Config{Network: network, Keys: set, Listen: network.Authorities[i].Addrs, Nickname: network.Authorities[i].Name})
		a, err := authority.New(authority.Config{Network: network, Keys: set, Dir: t.TempDir(), Pool: r.Pool()})
		if err != nil {
			t.Fatal(err)
		}
		a.SetRate(1 << 20)
		r.SetDirectory(a.Handler(nil), a.Cache())
		authorities = append(authorities, a)
		run(r.Run)
		run(func(ctx context.Context) error { return errors.Join(a.Run(ctx), a.Close()) })
	}
	set, err := keys.LoadOrCreate(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	r := newRelay(t, relay.Config{
		Network: network, Keys: set, Listen: []netip.AddrPort{addr}, Address: []netip.AddrPort{addr},
		Nickname: "relay", Transit: true,
	})
	run(r.Run)

	for i, a := range authorities {
		deadline := time.After(8 * time.Second)
		for {
			updated := a.Cache().Updated()
			if b := a.Cache().Current(); b != nil && b.Consensus.Relay(set.ID()) != nil {
				break
			}
			select {
			case <-updated:
			case <-deadline:
				t.Fatalf("authority %d does not list the relay: %+v", i, a.Status())
			}
		}
		if s := a.Status(); s.Listed != 1 || s.Signatures < 2 || s.Running != 1 || s.Problem != "" {
			t.Errorf("authority %d: %+v", i, s)
		}
	}
}

func newRelay(t *testing.T, c relay.Config) *relay.Relay {
	t.Helper()
	c.Dir, c.Platform = t.TempDir(), "tunic test"
	r, err := relay.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}
