package handshake

import (
	"bytes"
	"errors"
	"testing"

	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

// relay is what a relay has for its handshakes.
type relay struct {
	network [32]byte
	id      keys.RelayID
	key     *keys.CircuitKey
}

func newRelay() relay {
	return relay{network: [32]byte{1, 2, 3}, id: keys.GenerateIdentity().Public(), key: keys.GenerateCircuit()}
}

func (r relay) start(t testing.TB, ask Extensions) (*Client, []byte) {
	t.Helper()
	c, msg, err := Start(r.network, r.id, r.key.Public(), ask)
	if err != nil {
		t.Fatal(err)
	}
	return c, msg
}

func (r relay) answer(msg []byte) ([]byte, *Result, error) {
	return Answer(r.network, r.id, r.key, msg, all, nil)
}

// all grants what is asked.
func all(ask Extensions) Extensions { return ask }

func TestHandshake(t *testing.T) {
	r := newRelay()
	ask := Extensions{SendmeInc: 31, Features: 1<<63 | 5}
	c, msg := r.start(t, ask)
	if len(msg) != Size {
		t.Fatalf("message 1 of %d bytes", len(msg))
	}
	if id, err := KeyID(msg); err != nil || id != r.key.ID() {
		t.Fatalf("KeyID = %x, %v", id, err)
	}
	reply, theirs, err := r.answer(msg)
	if err != nil || len(reply) != Size {
		t.Fatalf("message 2 of %d bytes, %v", len(reply), err)
	}
	ours, err := c.Finish(reply)
	if err != nil {
		t.Fatal(err)
	}
	if *ours != *theirs {
		t.Errorf("the ends differ:\n%+v\n%+v", ours, theirs)
	}
	if ours.Ext != ask {
		t.Errorf("granted %+v, asked %+v", ours.Ext, ask)
	}
	if ours.Outward == ours.Inward || ours.Outward == [48]byte{} || bytes.Contains(ours.Outward[:], ours.Binding[:]) || ours.Binding == [32]byte{} {
		t.Errorf("keys are not independent: %+v", ours)
	}
	if ours.Wipe(); *ours != (Result{Ext: ask}) {
		t.Error("Wipe leaves keys")
	}
}

func TestTwoHandshakesShareNothing(t *testing.T) {
	r := newRelay()
	_, m1 := r.start(t, Extensions{})
	_, m2 := r.start(t, Extensions{})
	if bytes.Equal(m1[headerSize:], m2[headerSize:]) {
		t.Error("messages repeat")
	}
	_, a, err := r.answer(m1)
	if err != nil {
		t.Fatal(err)
	}
	_, b, err := r.answer(m1) // the same message, without a memory: other keys
	if err != nil {
		t.Fatal(err)
	}
	if a.Outward == b.Outward || a.Inward == b.Inward || a.Binding == b.Binding {
		t.Error("keys repeat")
	}
}

func TestRepeatedMessageIsNotAnswered(t *testing.T) {
	r := newRelay()
	replay := hybrid.NewReplay()
	_, msg := r.start(t, Extensions{})
	answer := func(msg []byte) error {
		_, _, err := Answer(r.network, r.id, r.key, msg, nil, replay)
		return err
	}
	// A forgery with the same ephemeral key does not spend it.
	forged := bytes.Clone(msg)
	forged[Size-1] ^= 1
	if err := answer(forged); !errors.Is(err, ErrFailed) {
		t.Fatalf("forged: %v", err)
	}
	if err := answer(msg); err != nil {
		t.Fatal(err)
	}
	if err := answer(msg); !errors.Is(err, ErrReplay) {
		t.Errorf("repeated: %v", err)
	}
	_, other := r.start(t, Extensions{})
	if err := answer(other); err != nil {
		t.Errorf("another: %v", err)
	}
}

func TestEveryFieldOfThePrologueIsBound(t *testing.T) {
	r := newRelay()
	_, msg := r.start(t, Extensions{})

	other := r
	other.network[31] ^= 1
	if _, _, err := other.answer(msg); !errors.Is(err, ErrFailed) {
		t.Errorf("another network: %v", err)
	}
	other = r
	other.id[0] ^= 1
	if _, _, err := other.answer(msg); !errors.Is(err, ErrFailed) {
		t.Errorf("another identity: %v", err)
	}
	other = r
	other.key = keys.GenerateCircuit()
	if _, _, err := other.answer(msg); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("another circuit key: %v", err)
	}
	if _, _, err := Answer(r.network, r.id, nil, msg, nil, nil); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("no circuit key: %v", err)
	}
	// The header changed so that it names the other key.
	named := bytes.Clone(msg)
	id := other.key.ID()
	copy(named[1:], id[:])
	if _, _, err := other.answer(named); !errors.Is(err, ErrFailed) {
		t.Errorf("another circuit key, named: %v", err)
	}
	old := bytes.Clone(msg)
	old[0] = version + 1
	if _, _, err := r.answer(old); !errors.Is(err, ErrVersion) {
		t.Errorf("another version: %v", err)
	}
}

// The right static key under a prologue that differs in one field: what a
// mistaken or lying end would compute. Version and key id can't be reached
// through Answer, which refuses them first.
func TestForeignPrologueFails(t *testing.T) {
	r := newRelay()
	_, msg := r.start(t, Extensions{})
	id := r.key.ID()
	wrongID := id
	wrongID[7] ^= 1
	for name, prologue := range map[string][]byte{
		"right":   keys.HopPrologue(version, r.network, r.id, id),
		"version": keys.HopPrologue(version+1, r.network, r.id, id),
		"key id":  keys.HopPrologue(version, r.network, r.id, wrongID),
		"purpose": keys.LinkPrologue(version, r.network, r.id),
	} {
		m, err := hybrid.NewResponder(prologue, r.key.ECDH())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.ReadMessage1(msg[headerSize:]); (name == "right") != (err == nil) {
			t.Errorf("prologue with another %s: %v", name, err)
		}
	}
}

func TestEveryByteOfMessage1Counts(t *testing.T) {
	r := newRelay()
	_, msg := r.start(t, Extensions{})
	for i := range msg {
		bad := bytes.Clone(msg)
		bad[i] ^= 1 << (i % 8)
		want := ErrFailed
		switch {
		case i == 0:
			want = ErrVersion
		case i < headerSize:
			want = ErrUnknownKey
		}
		if reply, res, err := r.answer(bad); !errors.Is(err, want) || reply != nil || res != nil {
			t.Errorf("byte %d flipped: %v, want %v", i, err, want)
		}
		if _, _, err := r.answer(msg[:i]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
	if _, _, err := r.answer(append(msg, 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a byte more: %v", err)
	}
}

func TestEveryByteOfMessage2Counts(t *testing.T) {
	r := newRelay()
	for i := 0; i < Size; i += 3 { // of every handshake one byte
		c, msg := r.start(t, Extensions{})
		reply, _, err := r.answer(msg)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(reply)
		bad[i] ^= 1 << (i % 8)
		if res, err := c.Finish(bad); !errors.Is(err, ErrFailed) || res != nil {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		if _, err := c.Finish(reply); err == nil {
			t.Error("a client goes on after an error")
		}
	}
	c, msg := r.start(t, Extensions{})
	reply, _, err := r.answer(msg)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, Size - 1} {
		if _, err := c.Finish(reply[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := c.Finish(append(bytes.Clone(reply), 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a byte more: %v", err)
	}
}

func TestAnswerToAnotherClientFails(t *testing.T) {
	r := newRelay()
	c, _ := r.start(t, Extensions{})
	_, msg := r.start(t, Extensions{})
	reply, _, err := r.answer(msg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Finish(reply); !errors.Is(err, ErrFailed) {
		t.Errorf("%v", err)
	}
	if _, err := c.Finish(bytes.Repeat([]byte{7}, Size)); err == nil {
		t.Error("a client goes on after an error")
	}
}

func TestStartRefusesAKeyOfSmallOrder(t *testing.T) {
	if _, _, err := Start([32]byte{}, keys.RelayID{}, keys.CircuitPublic{}, Extensions{}); err == nil {
		t.Error("started")
	}
}

func TestSizesFillTheMessages(t *testing.T) {
	if askedSize != 175 || grantedSize != 280 || headerSize+hybrid.Overhead1+askedSize != Size || hybrid.Overhead2+grantedSize != Size {
		t.Errorf("payloads of %d and %d bytes", askedSize, grantedSize)
	}
}
