package link_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/link/linktest"
	"tunic/cell/work"
	"tunic/directory/keys"
)

// A rig is a relay that listens in memory.
type rig struct {
	*linktest.Memory
	relay *linktest.Relay
	pool  *link.Pool
	addr  netip.AddrPort
	links chan *link.Link // those that called NewCircuit
}

// newRig starts a relay; edit changes its configuration first.
func newRig(t testing.TB, edit func(*link.Config)) *rig {
	t.Helper()
	r := &rig{Memory: linktest.NewMemory(), relay: linktest.NewRelay(), links: make(chan *link.Link, 1000)}
	cfg := r.relay.Config(&linktest.Handler{New: func(l *link.Link, id cell.CircuitID, _ cell.Command, _ []byte, _ *link.Batch) {
		r.links <- l
		l.Refuse(id, cell.ReasonRefused)
	}})
	cfg.Transport = r.At(netip.MustParseAddr("10.0.0.1"))
	if edit != nil {
		edit(&cfg)
	}
	r.pool = linktest.NewPool(t, cfg)
	r.addr = linktest.Serve(t, r.pool, cfg.Transport, "10.0.0.1")
	return r
}

// accepting has a relay accept every circuit, and drop its cells.
func accepting(c *link.Config) {
	c.Handler = &linktest.Handler{New: func(l *link.Link, id cell.CircuitID, _ cell.Command, _ []byte, _ *link.Batch) {
		l.Accept(id, &linktest.Receiver{})
	}}
}

// connect connects from a host.
func (r *rig) connect(t testing.TB, from string) net.Conn {
	t.Helper()
	conn, err := r.At(netip.MustParseAddr(from)).Dial(context.Background(), r.addr)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// hostile connects from a host and finishes a handshake.
func (r *rig) hostile(t testing.TB, from string, opt linktest.Options) *linktest.Hostile {
	t.Helper()
	return linktest.Initiate(t, r.connect(t, from), r.relay.Target(), opt)
}

// link returns the relay's end of h's link.
func (r *rig) link(t testing.TB, h *linktest.Hostile) *link.Link {
	t.Helper()
	h.Alive()
	return <-r.links
}

// silence reads until the connection ends, and returns how much came and when it
// ended.
func silence(t testing.TB, conn net.Conn) (n int64, took time.Duration) {
	began := time.Now()
	conn.SetReadDeadline(began.Add(time.Hour))
	n, err := io.Copy(io.Discard, conn)
	if err != nil {
		t.Errorf("read: %v", err)
	}
	return n, time.Since(began)
}

// Whatever is wrong in a handshake, and wherever: not one byte comes back, and the
// connection closes at a time drawn between the deadline and 20 s after it.
func TestEveryFailureIsTheSameSilence(t *testing.T) {
	flip := func(at int) linktest.Options {
		return linktest.Options{Message1: func(b []byte) { b[at] ^= 1 }}
	}
	other := linktest.NewRelay()
	good := linktest.Options{}
	cases := map[string]struct {
		opt  linktest.Options
		send func(t *testing.T, r *rig, conn net.Conn, msg []byte)
	}{
		"flipped bit in the ephemeral key":   {opt: flip(3)},
		"flipped bit in the KEM's key":       {opt: flip(500)},
		"flipped bit in the tag":             {opt: flip(1279)},
		"another network":                    {opt: linktest.Options{Prologue: linktest.Prologue([32]byte{1}, keys.RelayID{})}},
		"another relay's identity":           {opt: linktest.Options{Prologue: linktest.Prologue(linktest.Network, other.ID)}},
		"no version in common":               {opt: linktest.Options{Versions: []uint8{9, 8}}},
		"versions out of order":              {opt: linktest.Options{Versions: []uint8{1, 2}}},
		"padding bounds the wrong way round": {opt: linktest.Options{Padding: [4]byte{9, 0, 1, 0}}},
		"zeros":                              {opt: good, send: func(_ *testing.T, _ *rig, conn net.Conn, _ []byte) { conn.Write(make([]byte, 1280)) }},
		"nothing":                            {opt: good, send: func(*testing.T, *rig, net.Conn, []byte) {}},
		"half":                               {opt: good, send: func(_ *testing.T, _ *rig, conn net.Conn, msg []byte) { conn.Write(msg[:640]) }},
		"HTTP":                               {opt: good, send: func(_ *testing.T, _ *rig, conn net.Conn, _ []byte) { io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n") }},
		"megabyte":                           {opt: good, send: func(_ *testing.T, _ *rig, conn net.Conn, _ []byte) { go conn.Write(make([]byte, 1<<20)) }},
		"one byte a second": {opt: good, send: func(_ *testing.T, _ *rig, conn net.Conn, msg []byte) {
			go linktest.WriteSlowly(conn, msg, time.Second)
		}},
		"repetition": {opt: good, send: func(t *testing.T, r *rig, conn net.Conn, msg []byte) {
			first := r.connect(t, "10.9.9.9")
			first.Write(msg)
			if _, err := io.ReadFull(first, make([]byte, 1200)); err != nil {
				t.Errorf("the first time: %v", err)
			}
			first.Close()
			conn.Write(msg)
		}},
	}
	var mu sync.Mutex
	times := map[time.Duration]bool{}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				conn := r.connect(t, "10.1.2.3")
				msg := linktest.FirstMessage(t, r.relay.Target(), c.opt)
				if c.send == nil {
					conn.Write(msg)
				} else {
					c.send(t, r, conn, msg)
				}
				n, took := silence(t, conn)
				if n != 0 {
					t.Errorf("%d bytes came back", n)
				}
				if took < 10*time.Second || took > 30*time.Second {
					t.Errorf("closed after %v, want 10 to 30 s", took)
				}
				mu.Lock()
				times[took] = true
				mu.Unlock()
				time.Sleep(2 * time.Second) // who still sends notices
				if s := r.pool.Stats(); s.Failed == 0 || s.Accepted != 0 {
					t.Errorf("stats %+v, want a failure and no link", s)
				}
			})
		})
	}
	if len(times) < len(cases)-2 {
		t.Errorf("%d failures closed at %d different times: not drawn", len(cases), len(times))
	}
}

// A repetition is one in time too: after the first link has ended.
func TestRepetitionIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		h := r.hostile(t, "10.1.2.3", linktest.Options{})
		h.Close()
		time.Sleep(time.Hour)
		conn := r.connect(t, "10.1.2.3")
		conn.Write(h.Message1)
		if n, _ := silence(t, conn); n != 0 {
			t.Errorf("%d bytes came back", n)
		}
		if s := r.pool.Stats(); s.Replayed != 1 {
			t.Errorf("%d repetitions were counted, want 1", s.Replayed)
		}
	})
}

// The first records fail as the first message does, with what has been sent by then
// and nothing more.
func TestWrongFirstRecord(t *testing.T) {
	padding, info := linktest.Cell{Command: cell.Padding}, linktest.Cell{Command: cell.NetInfo}
	other := linktest.NewRelay()
	for name, first := range map[string]func(h *linktest.Hostile) []linktest.Cell{
		"one cell":            func(*linktest.Hostile) []linktest.Cell { return []linktest.Cell{padding} },
		"three cells":         func(*linktest.Hostile) []linktest.Cell { return []linktest.Cell{padding, info, padding} },
		"the other way round": func(*linktest.Hostile) []linktest.Cell { return []linktest.Cell{info, padding} },
		"no NETINFO":          func(*linktest.Hostile) []linktest.Cell { return []linktest.Cell{padding, padding} },
		"a circuit's PADDING": func(*linktest.Hostile) []linktest.Cell { return []linktest.Cell{{ID: 1}, info} },
		"a circuit's NETINFO": func(*linktest.Hostile) []linktest.Cell {
			return []linktest.Cell{padding, {ID: 1, Command: cell.NetInfo}}
		},
		"CREATE first": func(*linktest.Hostile) []linktest.Cell {
			return []linktest.Cell{{ID: 1 << 31, Command: cell.Create}, info}
		},
		"an unknown command": func(*linktest.Hostile) []linktest.Cell { return []linktest.Cell{{Command: 200}, info} },
		"a time in year 10000": func(*linktest.Hostile) []linktest.Cell {
			return []linktest.Cell{padding, {Command: cell.NetInfo, Body: []byte{1}}}
		},
		"an address of family 9": func(*linktest.Hostile) []linktest.Cell {
			return []linktest.Cell{padding, {Command: cell.NetInfo, Body: []byte{8: 9}}}
		},
		"an empty proof": func(*linktest.Hostile) []linktest.Cell { return []linktest.Cell{{Command: cell.Proof}, info} },
		"a proof of another link": func(*linktest.Hostile) []linktest.Cell {
			return []linktest.Cell{{Command: cell.Proof, Body: other.Proof.Append(nil, [32]byte{1})}, info}
		},
		"a proof by another key": func(h *linktest.Hostile) []linktest.Cell {
			proof := keys.Proof{Certificate: other.Proof.Certificate, Signing: keys.GenerateSigning()}
			return []linktest.Cell{{Command: cell.Proof, Body: proof.Append(nil, h.Hash)}, info}
		},
		"an expired proof": func(h *linktest.Hostile) []linktest.Cell {
			id, signing, now := keys.GenerateIdentity(), keys.GenerateSigning(), time.Now()
			proof := keys.Proof{Certificate: id.CertifySigning(signing.Public(), now.Add(-2*time.Hour), now.Add(-time.Hour)), Signing: signing}
			return []linktest.Cell{{Command: cell.Proof, Body: proof.Append(nil, h.Hash)}, info}
		},
		"a proof with a flipped bit": func(h *linktest.Hostile) []linktest.Cell {
			b := other.Proof.Append(nil, h.Hash)
			b[len(b)-1] ^= 1
			return []linktest.Cell{{Command: cell.Proof, Body: b}, info}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				conn := r.connect(t, "10.1.2.3")
				h := linktest.Initiate(t, conn, r.relay.Target(), linktest.Options{NoFirst: true})
				began := time.Now()
				h.SendCells(first(h)...)
				n, _ := silence(t, conn)
				took := time.Since(began)
				if n != 1052 { // the responder's own first record, which comes with message 2
					t.Errorf("%d bytes came back, want one record of two cells", n)
				}
				if took < 10*time.Second || took > 30*time.Second {
					t.Errorf("closed after %v, want 10 to 30 s", took)
				}
				if s := r.pool.Stats(); s.Accepted != 0 || len(r.pool.Links()) != 0 {
					t.Errorf("stats %+v: the link was accepted", s)
				}
			})
		})
	}
}

// A first record that comes a byte a second does not come within the handshake's
// deadline.
func TestSlowFirstRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		h := linktest.Initiate(t, r.connect(t, "10.1.2.3"), r.relay.Target(), linktest.Options{NoFirst: true})
		rec := h.Record(h.FirstCells(nil, time.Time{}, nil)...)
		go h.SendSlowly(rec, time.Second)
		h.ExpectClosed(31 * time.Second)
		time.Sleep(2 * time.Second) // the sender notices
		if s := r.pool.Stats(); s.Accepted != 0 {
			t.Error("the link was accepted")
		}
	})
}

// A watcher sees the same from clients, relays and responders.
func TestSizesDoNotTellWhoItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for _, as := range []*linktest.Relay{nil, linktest.NewRelay()} {
			cfg := linktest.Client()
			if as != nil {
				cfg = as.Config(nil)
			}
			ln := linktest.Listen(t, r.At(netip.MustParseAddr("10.0.0.2")), "10.0.0.2")
			cfg.Transport = r.At(netip.MustParseAddr("10.0.0.3"))
			p := linktest.NewPool(t, cfg)
			go p.Dial(t.Context(), ln.Target)
			conn := ln.AcceptRaw()
			h := linktest.Answer(t, conn, ln.Relay, linktest.Options{})
			if len(h.Message1) != 1280 || len(h.First) != 2 || h.First[1].Command != cell.NetInfo {
				t.Errorf("relay %v: message 1 of %d bytes, first record %v", as != nil, len(h.Message1), h.First)
			}
			want := cell.Padding
			if as != nil {
				want = cell.Proof
			}
			if h.First[0].Command != want {
				t.Errorf("relay %v: first cell %v, want %v", as != nil, h.First[0].Command, want)
			}
			if told := h.First[1].Body[:8]; (as == nil) != (string(told) == string(make([]byte, 8))) {
				t.Errorf("relay %v: tells the time %x; a client must not, a relay does", as != nil, told)
			}
		}
		h := r.hostile(t, "10.1.2.3", linktest.Options{})
		if len(h.First) != 2 || h.First[0].Command != cell.Padding || h.First[1].Command != cell.NetInfo {
			t.Errorf("the responder's first record is %v", h.First)
		}
	})
}

// Only a verified proof makes a relay of a peer.
func TestPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, relay := linktest.NewRelay(), linktest.NewRelay()
		r := newRig(t, func(c *link.Config) {
			c.Classify = func(id keys.RelayID) work.Class {
				switch id {
				case authority.ID:
					return work.Authority
				case relay.ID:
					return work.Relay
				}
				return work.Stranger
			}
		})
		for _, c := range []struct {
			as     *linktest.Relay
			class  work.Class
			proven bool
		}{{nil, work.Stranger, false}, {relay, work.Relay, true}, {authority, work.Authority, true}, {linktest.NewRelay(), work.Stranger, true}} {
			h := r.hostile(t, "10.1.2.3", linktest.Options{As: c.as})
			l := r.link(t, h)
			id, class, proven := l.Peer()
			var want keys.RelayID
			if c.as != nil {
				want = c.as.ID
			}
			if id != want || class != c.class || proven != c.proven {
				t.Errorf("Peer() = %v, %v, %v; want %v, %v, %v", id, class, proven, want, c.class, c.proven)
			}
			if l.Dialled() || l.Binding() != h.Hash || l.RemoteAddr().Addr() != netip.MustParseAddr("10.1.2.3") {
				t.Errorf("dialled %v, from %v, same binding %v", l.Dialled(), l.RemoteAddr(), l.Binding() == h.Hash)
			}
			if c.as != nil && r.pool.Find(c.as.ID) != l {
				t.Error("a relay's link is not found by its identity")
			}
		}
	})
}

// A dialler proves who it is, and only then is it believed.
func TestDialledRelayProvesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		other := linktest.NewRelay()
		cfg := other.Config(nil)
		cfg.Transport = r.At(netip.MustParseAddr("10.0.0.3"))
		near := linktest.Dial(t, linktest.NewPool(t, cfg), r.relay.Target(r.addr))
		synctest.Wait()
		far := r.pool.Find(other.ID)
		if far == nil || far.Binding() != near.Binding() {
			t.Fatal("the responder has no link to the dialler's identity")
		}
		if id, _, proven := near.Peer(); id != r.relay.ID || !proven || !near.Dialled() {
			t.Errorf("the dialler's peer is %v, %v", id, proven)
		}
	})
}

func TestClockAndAddressesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := linktest.NewMemory()
		ln := linktest.Listen(t, m.At(netip.MustParseAddr("10.0.0.2")), "10.0.0.2")
		cfg := linktest.Client()
		cfg.Transport = m.At(netip.MustParseAddr("10.0.0.3"))
		seen := []byte{4, 203, 0, 113, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34}
		near, _ := ln.Meet(linktest.NewPool(t, cfg), linktest.Options{Time: time.Now().Add(-time.Hour), Seen: seen})
		if near.Skew() != -time.Hour {
			t.Errorf("skew %v, want an hour behind", near.Skew())
		}
		if near.SeenAs() != netip.MustParseAddrPort("203.0.113.7:4660") {
			t.Errorf("seen as %v", near.SeenAs())
		}

		r := newRig(t, nil)
		h := r.hostile(t, "10.1.2.3", linktest.Options{As: linktest.NewRelay(), Time: time.Now().Add(time.Hour), Seen: seen})
		far := r.link(t, h)
		if far.Skew() != time.Hour || far.SeenAs() != near.SeenAs() {
			t.Errorf("skew %v, seen as %v", far.Skew(), far.SeenAs())
		}
		if !h.Time.Equal(time.Now()) {
			t.Errorf("the responder's time is %v, want %v", h.Time, time.Now())
		}
		want := []byte{4, 10, 1, 2, 3}
		if got := h.First[1].Body[8:13]; string(got) != string(want) {
			t.Errorf("the responder saw %x, want %x", got, want)
		}
		// A client that tells its time is not asked for more, and not believed.
		far = r.link(t, r.hostile(t, "10.1.2.3", linktest.Options{Time: time.Now().Add(time.Hour)}))
		if far.Skew() != 0 {
			t.Errorf("skew %v by a client's word", far.Skew())
		}
	})
}

// An authority's old key is answered beside the new one; a third is not.
func TestTwoLinkKeysAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := []*keys.LinkKey{keys.GenerateLink(), keys.GenerateLink(), keys.GenerateLink()}
		r := newRig(t, func(c *link.Config) { c.Keys = func() []*keys.LinkKey { return all } })
		for i, k := range all {
			target := link.Target{ID: r.relay.ID, Key: k.Public()}
			_, err := linktest.TryInitiate(t, r.connect(t, "10.1.2.3"), target, linktest.Options{})
			if (err == nil) != (i < 2) {
				t.Errorf("key %d: %v", i, err)
			}
		}
	})
}

// What a dialler gets from a wrong responder is an error, and its connection closes
// at once.
func TestDiallerRefuses(t *testing.T) {
	flip := func(t *testing.T, conn net.Conn, r *linktest.Relay) { conn.Write(make([]byte, 1200)) }
	answer := func(opt linktest.Options) func(*testing.T, net.Conn, *linktest.Relay) {
		return func(t *testing.T, conn net.Conn, r *linktest.Relay) { linktest.TryAnswer(t, conn, r, opt) }
	}
	padding, info := linktest.Cell{Command: cell.Padding}, linktest.Cell{Command: cell.NetInfo}
	for name, c := range map[string]struct {
		behave func(t *testing.T, conn net.Conn, r *linktest.Relay)
		want   error
	}{
		"zeros for message 2": {flip, link.ErrHandshake},
		"another relay's key": {func(t *testing.T, conn net.Conn, _ *linktest.Relay) {
			linktest.TryAnswer(t, conn, linktest.NewRelay(), linktest.Options{})
			conn.Close()
		}, link.ErrHandshake},
		"closes":                {func(t *testing.T, conn net.Conn, _ *linktest.Relay) { conn.Close() }, link.ErrHandshake},
		"a version not offered": {answer(linktest.Options{Versions: []uint8{2}}), link.ErrVersion},
		"a malformed address":   {answer(linktest.Options{Seen: []byte{7}}), cell.ErrMalformed},
		"a proof by responder":  {answer(linktest.Options{First: []linktest.Cell{{Command: cell.Proof}, info}}), cell.ErrMalformed},
		"three first cells":     {answer(linktest.Options{First: []linktest.Cell{padding, info, info}}), cell.ErrMalformed},
		"silence":               {func(*testing.T, net.Conn, *linktest.Relay) {}, link.ErrHandshake},
		"stops half way":        {answer(linktest.Options{NoFirst: true}), link.ErrHandshake},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := linktest.NewMemory()
				ln := linktest.Listen(t, m.At(netip.MustParseAddr("10.0.0.2")), "10.0.0.2")
				cfg := linktest.Client()
				cfg.Transport = m.At(netip.MustParseAddr("10.0.0.3"))
				p := linktest.NewPool(t, cfg)
				result := make(chan error, 1)
				began := time.Now()
				go func() { _, err := p.Dial(t.Context(), ln.Target); result <- err }()
				conn := ln.AcceptRaw()
				defer conn.Close()
				c.behave(t, conn, ln.Relay)
				err := <-result
				if !errors.Is(err, c.want) || !errors.Is(err, link.ErrHandshake) {
					t.Errorf("%v, want %v", err, c.want)
				}
				if d := time.Since(began); d > 10*time.Second {
					t.Errorf("took %v, want at most 10 s", d)
				}
				if linktest.ReadToEnd(conn, time.Second) != nil {
					t.Error("the dialler's connection is still open")
				}
			})
		})
	}
}
