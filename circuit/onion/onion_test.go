package onion

import (
	"bytes"
	crand "crypto/rand"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// A direction is one direction of one hop: the two ends as shipped, and the two
// ends in the model.
type direction struct {
	client, relay           State
	modelClient, modelRelay *modelHop
}

func newDirection(k *Key) *direction {
	return &direction{NewState(k), NewState(k), newModelHop(tunic, k), newModelHop(tunic, k)}
}

// A testCircuit has the client's state and the relays' of every hop.
type testCircuit struct {
	t               testing.TB
	outward, inward []*direction
}

// newTestCircuit returns a circuit whose keys rng draws.
func newTestCircuit(t testing.TB, rng *rand.ChaCha8, hops int) *testCircuit {
	c := &testCircuit{t: t}
	for range hops {
		var out, in Key
		rng.Read(out[:])
		rng.Read(in[:])
		c.outward, c.inward = append(c.outward, newDirection(&out)), append(c.inward, newDirection(&in))
	}
	return c
}

// newBody returns a body that holds message, garbage in the tag's place and in
// the room behind it.
func newBody(message []byte) []byte {
	b := bytes.Repeat([]byte{0xe7}, end)
	copy(b[TagSize:], message)
	return b[:BodySize]
}

// same compares a body with the model's, and looks at the room behind it.
func (c *testCircuit) same(where string, hop int, body []byte, model block) {
	c.t.Helper()
	if !bytes.Equal(body, model.bytes()) {
		c.t.Fatalf("%s, hop %d: the body differs from the model's", where, hop)
	}
	if !bytes.Equal(body[BodySize:end], make([]byte, Room)) {
		c.t.Fatalf("%s, hop %d: something is left behind the body", where, hop)
	}
}

// sendOutward sends a message to hop d, shipped code and model side by side.
func (c *testCircuit) sendOutward(ad byte, d int, message []byte) {
	c.t.Helper()
	body := newBody(message)
	tag := c.outward[d].client.ClientOriginate(ad, body)
	model, modelTag := c.outward[d].modelClient.clientOriginate(ad, block{message: message})
	c.same("client originates", d, body, model)
	for i := d - 1; i >= 0; i-- {
		c.outward[i].client.ClientOutward(ad, body)
		model = c.outward[i].modelClient.clientOutward(ad, model)
		c.same("client through", i, body, model)
	}
	for i := 0; i <= d; i++ {
		recognised, arrived := c.outward[i].relay.RelayOutward(ad, body)
		var modelRecognised bool
		var modelArrived [16]byte
		model, modelRecognised, modelArrived = c.outward[i].modelRelay.relayOutward(ad, model)
		c.same("relay outward", i, body, model)
		if recognised != (i == d) || recognised != modelRecognised || [16]byte(arrived) != modelArrived {
			c.t.Fatalf("relay %d of a cell to %d: recognised %v, the model %v", i, d, recognised, modelRecognised)
		}
		if i == d && (arrived != tag || [16]byte(tag) != modelTag) {
			c.t.Fatalf("tag at relay %d is %x, at the client %x, in the model %x", i, arrived, tag, modelTag)
		}
	}
	if !bytes.Equal(body[TagSize:], message) {
		c.t.Fatalf("hop %d received another message", d)
	}
}

// sendInward sends a message from hop d to the client.
func (c *testCircuit) sendInward(ad byte, d int, message []byte) {
	c.t.Helper()
	body := newBody(message)
	tag := c.inward[d].relay.RelayOriginate(ad, body)
	model, modelTag := c.inward[d].modelRelay.relayOriginate(ad, block{message: message})
	c.same("relay originates", d, body, model)
	for i := d - 1; i >= 0; i-- {
		c.inward[i].relay.RelayInward(ad, body)
		model = c.inward[i].modelRelay.relayInward(ad, model)
		c.same("relay inward", i, body, model)
	}
	for i := 0; i <= d; i++ {
		recognised, arrived := c.inward[i].client.ClientInward(ad, body)
		var modelRecognised bool
		var modelArrived [16]byte
		model, modelRecognised, modelArrived = c.inward[i].modelClient.clientInward(ad, model)
		c.same("client inward", i, body, model)
		if recognised != (i == d) || recognised != modelRecognised || [16]byte(arrived) != modelArrived {
			c.t.Fatalf("layer %d of a cell from %d: recognised %v, the model %v", i, d, recognised, modelRecognised)
		}
		if i == d && (arrived != tag || [16]byte(tag) != modelTag) {
			c.t.Fatalf("tag at layer %d is %x, at the relay %x, in the model %x", i, arrived, tag, modelTag)
		}
	}
	if !bytes.Equal(body[TagSize:], message) {
		c.t.Fatalf("the client received another message from hop %d", d)
	}
}

// all calls f for each shipped state.
func (c *testCircuit) all(f func(*State)) {
	for i := range c.outward {
		for _, s := range []*State{&c.outward[i].client, &c.outward[i].relay, &c.inward[i].client, &c.inward[i].relay} {
			f(s)
		}
	}
}

// seeds returns fixed seeds and a fresh one.
func seeds() (s [][32]byte) {
	s = make([][32]byte, 3)
	s[1][0] = 1
	_, _ = crand.Read(s[2][:])
	return s
}

// Random cells to and from every hop in both directions, interleaved, with
// states put to sleep between them, across a renewal of every key.
func TestMatchesModel(t *testing.T) {
	const cellsPerHop = RenewalInterval + 7 // each way
	for _, hops := range []int{1, 3, 8} {
		for _, seed := range seeds() {
			t.Run(fmt.Sprintf("%d hops", hops), func(t *testing.T) {
				t.Parallel()
				t.Logf("seed %x", seed)
				src := rand.NewChaCha8(seed)
				rng := rand.New(src)
				c := newTestCircuit(t, src, hops)
				message := make([]byte, MessageSize)
				for _, n := range rng.Perm(2 * hops * cellsPerHop) {
					src.Read(message)
					ad, d, way := byte(rng.IntN(256)), n/2%hops, n%2
					if rng.IntN(8) > 0 {
						ad = 3 + ad%2 // RELAY, RELAY_EARLY
					}
					c.all(func(s *State) {
						if rng.IntN(20) == 0 {
							s.Sleep()
						}
					})
					if way == outward {
						c.sendOutward(ad, d, message)
					} else {
						c.sendInward(ad, d, message)
					}
				}
			})
		}
	}
}

// The keys change with the 31st cell that an end originates or recognises, not
// before, and with no other cell.
func TestKeysChangeEvery31stCell(t *testing.T) {
	c := newTestCircuit(t, rand.NewChaCha8([32]byte{}), 2)
	message := make([]byte, MessageSize)
	type keys struct{ kb, ks [16]byte }
	now := func() (k []keys) {
		c.all(func(s *State) { k = append(k, keys{s.kb, s.ks}) })
		return k
	}
	const perHop = 4 // states of a hop, in the order of all
	for i := 1; i <= 3*RenewalInterval; i++ {
		before := now()
		c.sendOutward(3, 1, message)
		c.sendInward(3, 1, message)
		for j, k := range now() {
			ours := j >= perHop
			if changed := k != before[j]; changed != (ours && i%RenewalInterval == 0) {
				t.Errorf("cell %d: state %d of hop %d changed its keys: %v", i, j%perHop, j/perHop, changed)
			}
			if k.kb == before[j].kb != (k.ks == before[j].ks) || k.kb == k.ks {
				t.Errorf("cell %d: state %d of hop %d: half a change of keys", i, j%perHop, j/perHop)
			}
		}
	}
}

func TestNonceChangesWithEveryCell(t *testing.T) {
	c := newTestCircuit(t, rand.NewChaCha8([32]byte{}), 1)
	seen := map[[16]byte]bool{}
	message := make([]byte, MessageSize)
	for range 100 {
		c.sendOutward(3, 0, message)
		c.sendInward(3, 0, message)
		for _, d := range []*direction{c.outward[0], c.inward[0]} {
			if d.client.n != d.relay.n || seen[d.client.n] {
				t.Fatalf("nonce %x, at the relay %x, seen before: %v", d.client.n, d.relay.n, seen[d.client.n])
			}
			seen[d.client.n] = true
		}
	}
}

func TestStateIsSmall(t *testing.T) {
	const keyState, pointer = 80, unsafe.Sizeof(uintptr(0))
	if n := unsafe.Sizeof(State{}); n > keyState+pointer {
		t.Errorf("a State takes %d bytes, want at most %d and a pointer", n, keyState)
	}
	k := Key{1}
	s := NewState(&k)
	s.RelayInward(3, newBody(nil))
	if s.objects == nil {
		t.Fatal("no objects after a cell")
	}
	if s.Sleep(); s.objects != nil {
		t.Error("a sleeping State holds its objects")
	}
}

// A wiped State has forgotten its keys and puts nothing on the wire.
func TestWipedStateIsDead(t *testing.T) {
	k := Key{1}
	ops := map[string]func(s *State, b []byte) bool{
		"RelayOutward":    func(s *State, b []byte) bool { ok, _ := s.RelayOutward(3, b); return ok },
		"RelayInward":     func(s *State, b []byte) bool { s.RelayInward(3, b); return false },
		"RelayOriginate":  func(s *State, b []byte) bool { s.RelayOriginate(3, b); return false },
		"ClientOriginate": func(s *State, b []byte) bool { s.ClientOriginate(3, b); return false },
		"ClientOutward":   func(s *State, b []byte) bool { s.ClientOutward(3, b); return false },
		"ClientInward":    func(s *State, b []byte) bool { ok, _ := s.ClientInward(3, b); return ok },
	}
	for name, op := range ops {
		s := NewState(&k)
		op(&s, newBody(nil))
		s.Wipe()
		if s != (State{}) {
			t.Error("Wipe leaves something")
		}
		b := newBody(bytes.Repeat([]byte{1}, MessageSize))
		if op(&s, b) {
			t.Errorf("%s of a wiped State recognises a cell", name)
		}
		if !bytes.Equal(b[:end], make([]byte, end)) {
			t.Errorf("%s of a wiped State leaves %s… in the body", name, hex.EncodeToString(b[:20]))
		}
	}
}

func TestWrongBodyPanics(t *testing.T) {
	for name, b := range map[string][]byte{
		"short":   make([]byte, BodySize-1, end),
		"long":    make([]byte, BodySize+1, end+1),
		"no room": make([]byte, BodySize, end-1),
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			s := NewState(new(Key))
			s.RelayInward(3, b)
		})
	}
}

func FuzzMatchesModel(f *testing.F) {
	f.Add([]byte("key"), []byte{0, 1, 2, 3, 4, 5}, []byte("body"))
	f.Fuzz(func(t *testing.T, key, ops, content []byte) {
		var k Key
		copy(k[:], key)
		s, m := NewState(&k), newModelHop(tunic, &k)
		body := newBody(nil)
		clear(body)
		copy(body, content)
		b := block{[16]byte(body), bytes.Clone(body[TagSize:])}
		for _, op := range ops[:min(len(ops), 40)] {
			var ok, wantOK bool
			var tag Tag
			var wantTag [16]byte
			ad := op / 6
			switch op % 6 {
			case 0:
				ok, tag = s.RelayOutward(ad, body)
				b, wantOK, wantTag = m.relayOutward(ad, b)
			case 1:
				s.RelayInward(ad, body)
				b = m.relayInward(ad, b)
			case 2:
				tag = s.RelayOriginate(ad, body)
				b, wantTag = m.relayOriginate(ad, b)
			case 3:
				tag = s.ClientOriginate(ad, body)
				b, wantTag = m.clientOriginate(ad, b)
			case 4:
				s.ClientOutward(ad, body)
				b = m.clientOutward(ad, b)
			case 5:
				ok, tag = s.ClientInward(ad, body)
				b, wantOK, wantTag = m.clientInward(ad, b)
			}
			if ok != wantOK || [16]byte(tag) != wantTag || !bytes.Equal(body, b.bytes()) {
				t.Fatalf("operation %d differs from the model", op%6)
			}
		}
	})
}
