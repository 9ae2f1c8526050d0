package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tunic/cell"
	"tunic/client/path"
	"tunic/directory"
)

// standing is a circuit that does nothing.
type standing struct{ done chan struct{} }

func (s *standing) Begin(context.Context, string, uint16, cell.BeginFlags, []byte) (stream, error) {
	return nil, errRefused
}
func (s *standing) Resolve(context.Context, cell.ResolveRequest) (cell.ResolvedReply, error) {
	return cell.ResolvedReply{}, errRefused
}
func (s *standing) Streams() int                 { return 0 }
func (s *standing) Heard() uint64                { return 0 }
func (s *standing) Held() (int64, time.Duration) { return 0, 0 }
func (s *standing) Done() <-chan struct{}        { return s.done }
func (s *standing) Err() error                   { return nil }
func (s *standing) Close() error                 { return nil }

// Whatever happens, circuits are never shared between keys, bounds hold, every
// waiter is answered once, and what is wanted is what is missing.
func TestPoolKeepsItsPromises(t *testing.T) {
	exits := make([]*directory.Relay, 4)
	for i := range exits {
		exits[i] = &directory.Relay{ID: relayID(fmt.Sprint(i)), Ports: summary(t, []string{"80,443", "443", "22,80,443", "22"}[i]),
			Addrs: []netip.AddrPort{{}}}
	}
	ports := []uint16{0, 22, 80, 443}
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Unix(1e9, 0)
		p := newPool(rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)), now)
		owner := map[*entry]string{}
		var uses []*entry
		var waiters []*waiter
		any := func(rt *rapid.T, s stage) *entry {
			var list []*entry
			for _, e := range p.entries {
				if e.stage == s {
					list = append(list, e)
				}
			}
			if len(list) == 0 {
				rt.Skip("none")
			}
			return rapid.SampledFrom(list).Draw(rt, "circuit")
		}
		lost := map[*entry]bool{}
		took := func(rt *rapid.T, e *entry, w wish, late bool) {
			if key, ok := owner[e]; ok && key != w.key {
				rt.Fatalf("a circuit of %q went to %q", key, w.key)
			}
			if !path.Serves(e.path[path.Exit], w.need) || e.stage != open || e.retired || e.opened.Before(w.since) || lost[e] && !late {
				rt.Fatalf("a circuit that does not serve: %+v for %+v", e, w)
			}
			owner[e] = w.key
			uses = append(uses, e)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"ask": func(rt *rapid.T) {
				w := wish{key: rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, "key"), need: path.Need{Port: rapid.SampledFrom(ports).Draw(rt, "port")}}
				if rapid.Bool().Draw(rt, "since") {
					w.since = now
				}
				p.predict(w.need.Port, now)
				if e, _ := p.take(w, now); e != nil {
					took(rt, e, w, false)
					return
				}
				x := &waiter{w, make(chan grant, 1)}
				p.waiters, waiters = append(p.waiters, x), append(waiters, x)
			},
			"build": func(rt *rapid.T) {
				n, ok := p.want(now)
				if !ok {
					return
				}
				for _, x := range exits {
					if path.Serves(x, n) {
						p.add(path.Path{exits[0], exits[0], x}, nil, n, now)
						return
					}
				}
				rt.Fatalf("wants %v, which nobody serves", n)
			},
			"built": func(rt *rapid.T) {
				e := any(rt, building)
				e.circuit, e.opened = &standing{make(chan struct{})}, now
				p.succeeded(now.Sub(e.started))
				p.admit(e, now)
				p.serve(now)
			},
			"lost": func(rt *rapid.T) {
				e := any(rt, open)
				if !lost[e] {
					close(e.circuit.(*standing).done)
				}
				lost[e] = true
				if rapid.Bool().Draw(rt, "known") {
					p.remove(e)
				}
			},
			"failed":  func(rt *rapid.T) { p.remove(any(rt, building)); p.failed(now) },
			"retired": func(rt *rapid.T) { any(rt, open).retired = true },
			"worn":    func(rt *rapid.T) { any(rt, open).worn = true },
			"release": func(rt *rapid.T) {
				if len(uses) == 0 {
					rt.Skip("none")
				}
				p.release(uses[0], now)
				uses = uses[1:]
			},
			"wait": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Minute)).Draw(rt, "time")))
				if at := p.next(now); !at.After(now) {
					rt.Fatalf("next look %v in the past", now.Sub(at))
				}
			},
			"expire": func(rt *rapid.T) {
				for _, e := range p.expire(now) {
					if e.uses > 0 || e.stage != gone {
						rt.Fatalf("expired in use: %+v", e)
					}
				}
			},
			"": func(rt *rapid.T) {
				left := waiters[:0]
				for _, w := range waiters {
					select {
					case g := <-w.got:
						took(rt, g.e, w.wish, true) // it may have been lost since
					default:
						left = append(left, w)
					}
				}
				waiters = left
				if len(p.waiters) != len(waiters) {
					rt.Fatalf("%d waiters, %d without an answer", len(p.waiters), len(waiters))
				}
				under := 0
				for _, e := range p.entries {
					if e.stage == building {
						under++
					}
					if e.uses < 0 || e.uses > 0 && !e.claimed {
						rt.Fatalf("circuit %+v", e)
					}
				}
				if under > maxBuilding || len(p.entries) > maxCircuits || len(p.ports) > maxPorts {
					rt.Fatalf("%d under way, %d circuits, %d ports", under, len(p.entries), len(p.ports))
				}
			},
		})
		// With time and success everybody is served, and the stock is full.
		for _, e := range slices.Clone(p.entries) {
			if e.stage == building || lost[e] {
				p.remove(e)
			}
		}
		for range 200 {
			now = now.Add(10 * time.Second)
			p.expire(now)
			for n, ok := p.want(now); ok; n, ok = p.want(now) {
				for _, x := range exits {
					if path.Serves(x, n) {
						e := p.add(path.Path{exits[0], exits[0], x}, nil, n, now)
						e.circuit, e.opened = &standing{make(chan struct{})}, now
						p.admit(e, now)
						break
					}
				}
				p.serve(now)
			}
		}
		if len(p.waiters) > 0 {
			rt.Fatalf("%d waiters are left", len(p.waiters))
		}
		clean := 0
		for _, e := range p.entries {
			if e.fresh(now) && !e.claimed && !e.worn {
				clean++
			}
		}
		if clean < minClean {
			rt.Fatalf("%d unused circuits", clean)
		}
	})
}

func TestBuildingPausesInProportion(t *testing.T) {
	now := time.Unix(1e9, 0)
	p := newPool(rand.New(rand.NewPCG(1, 1)), now)
	for range freeFailures - 1 {
		if p.failed(now); now.Before(p.retryAt) {
			t.Fatal("a pause though little has failed")
		}
	}
	start, tries := now, 0
	for now.Sub(start) < time.Hour {
		p.failed(now)
		tries++
		if pause := p.retryAt.Sub(now); pause > backoffCap {
			t.Fatalf("a pause of %v", pause)
		}
		if now.Before(p.retryAt) {
			now = p.retryAt
		}
	}
	if tries > 1000 {
		t.Errorf("%d tries in an hour without success", tries)
	}
	p.succeeded(time.Second)
	if p.failed(now); now.Before(p.retryAt) {
		t.Error("a pause after the first failure")
	}
}
