package hybrid

import (
	"bytes"
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"errors"
	"testing"
)

func newStatic(t testing.TB) *ecdh.PrivateKey {
	t.Helper()
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var prologue = []byte("prologue")

// pair is both ends of a handshake that has not begun.
type pair struct {
	i *Initiator
	r *Responder
}

func newPair(t testing.TB, static *ecdh.PrivateKey) pair {
	t.Helper()
	i, err := NewInitiator(prologue, [32]byte(static.PublicKey().Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewResponder(prologue, static)
	if err != nil {
		t.Fatal(err)
	}
	return pair{i, r}
}

func (p pair) message1(t testing.TB) []byte {
	t.Helper()
	m, err := p.i.Message1(nil, []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// message2 passes message 1 on and returns the answer.
func (p pair) message2(t testing.TB) ([]byte, *Session) {
	t.Helper()
	if _, err := p.r.ReadMessage1(p.message1(t)); err != nil {
		t.Fatal(err)
	}
	m, s, err := p.r.Message2(nil, []byte("two"))
	if err != nil {
		t.Fatal(err)
	}
	return m, s
}

func newSessions(t testing.TB) (initiator, responder *Session) {
	t.Helper()
	p := newPair(t, newStatic(t))
	m, responder := p.message2(t)
	_, initiator, err := p.i.ReadMessage2(m)
	if err != nil {
		t.Fatal(err)
	}
	return initiator, responder
}

func TestHandshake(t *testing.T) {
	p := newPair(t, newStatic(t))
	m1, err := p.i.Message1([]byte("before"), []byte("one"))
	if err != nil || len(m1) != 6+Overhead1+3 || string(m1[:6]) != "before" {
		t.Fatalf("message 1 of %d bytes, %v", len(m1), err)
	}
	m1 = m1[6:]
	if got, err := p.r.ReadMessage1(m1); err != nil || string(got) != "one" {
		t.Fatalf("ReadMessage1 = %q, %v", got, err)
	}
	if e := Ephemeral(m1); !bytes.Equal(e[:], m1[:32]) {
		t.Errorf("Ephemeral = %x", e)
	}
	m2, rs, err := p.r.Message2([]byte("before"), []byte("two"))
	if err != nil || len(m2) != 6+Overhead2+3 || string(m2[:6]) != "before" {
		t.Fatalf("message 2 of %d bytes, %v", len(m2), err)
	}
	got, is, err := p.i.ReadMessage2(m2[6:])
	if err != nil || string(got) != "two" {
		t.Fatalf("ReadMessage2 = %q, %v", got, err)
	}
	if is.Hash != rs.Hash || is.Hash == [32]byte{} {
		t.Errorf("hashes %x and %x", is.Hash, rs.Hash)
	}
	if Overhead1 != 1232 || Overhead2 != 1136 {
		t.Errorf("overheads %d and %d", Overhead1, Overhead2)
	}
}

func TestHandshakesAreUnlike(t *testing.T) {
	static := newStatic(t)
	p, q := newPair(t, static), newPair(t, static)
	m, n := p.message1(t), q.message1(t)
	same := 0
	for i := range m {
		if m[i] == n[i] {
			same++
		}
	}
	if same > len(m)/16 {
		t.Errorf("%d of %d bytes are equal in two messages 1", same, len(m))
	}
}

func TestEveryByteOfMessage1Counts(t *testing.T) {
	static := newStatic(t)
	m := newPair(t, static).message1(t)
	read := func(b []byte) error {
		r, err := NewResponder(prologue, static)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := r.ReadMessage1(b)
		if err != nil && payload != nil {
			t.Fatal("half a result with an error")
		}
		if _, _, again := r.Message2(nil, nil); err != nil && !errors.Is(again, ErrOrder) {
			t.Fatalf("Message2 after an error: %v", again)
		}
		return err
	}
	if err := read(m); err != nil {
		t.Fatal(err)
	}
	for i := range m {
		bad := bytes.Clone(m)
		bad[i] ^= 1 << (i % 8)
		if err := read(bad); !errors.Is(err, ErrFailed) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		if err := read(m[:i]); !errors.Is(err, ErrFailed) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
	if err := read(append(bytes.Clone(m), 0)); !errors.Is(err, ErrFailed) {
		t.Errorf("a byte more: %v", err)
	}
	if err := read(make([]byte, Overhead1+maxPayload+1)); !errors.Is(err, ErrFailed) {
		t.Errorf("over the limit: %v", err)
	}
}

func TestEveryByteOfMessage2Counts(t *testing.T) {
	static := newStatic(t)
	for i := range Overhead2 + 3 {
		p := newPair(t, static)
		m, _ := p.message2(t)
		m[i] ^= 1 << (i % 8)
		payload, s, err := p.i.ReadMessage2(m)
		if !errors.Is(err, ErrFailed) || payload != nil || s != nil {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		m[i] ^= 1 << (i % 8)
		if _, _, err := p.i.ReadMessage2(m); !errors.Is(err, ErrOrder) {
			t.Errorf("the right message after a wrong one: %v", err)
		}
	}
	for _, n := range []int{0, 1, 31, 1087, 1088, 1120, Overhead2 - 1, Overhead2, Overhead2 + 1, Overhead2 + 2, Overhead2 + 4, Overhead2 + maxPayload + 1} {
		p := newPair(t, static)
		m, _ := p.message2(t)
		m = append(m, make([]byte, maxPayload)...)[:n]
		if _, _, err := p.i.ReadMessage2(m); !errors.Is(err, ErrFailed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestPrologueAndStaticKeyAreBound(t *testing.T) {
	static := newStatic(t)
	m := newPair(t, static).message1(t)
	for name, prologue := range map[string][]byte{"none": nil, "other": []byte("Prologue"), "longer": []byte("prologue\x00")} {
		r, err := NewResponder(prologue, static)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.ReadMessage1(m); !errors.Is(err, ErrFailed) {
			t.Errorf("prologue %s: %v", name, err)
		}
	}
	r, err := NewResponder(prologue, newStatic(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadMessage1(m); !errors.Is(err, ErrFailed) {
		t.Errorf("another static key: %v", err)
	}
}

// A responder that answers rightly but for the psk: with none of it in the
// key, or all zeros, or another one. An initiator that forgot to set the psk
// would accept the first.
func TestPSKIsBound(t *testing.T) {
	static := newStatic(t)
	public := static.PublicKey().Bytes()
	for name, wrong := range map[string]func([]byte) []byte{
		"empty": func([]byte) []byte { return nil },
		"zeros": func([]byte) []byte { return make([]byte, 32) },
		"other": func(psk []byte) []byte { psk[31] ^= 1; return psk },
		"right": right,
	} {
		p := newPair(t, static)
		r := &modelResponder{model: *newModel(prologue, public), static: static, e: newStatic(t)}
		if _, err := r.readMessage1(p.message1(t)); err != nil {
			t.Fatal(err)
		}
		m, err := r.message2(nil, count(0, 32), wrong)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.i.ReadMessage2(m); (name == "right") != (err == nil) || err != nil && !errors.Is(err, ErrFailed) {
			t.Errorf("psk %s: %v", name, err)
		}
	}
}

// The ciphertext of another encapsulation to the same key is a valid one, and
// must fail all the same.
func TestCiphertextOfAnotherRunFails(t *testing.T) {
	p := newPair(t, newStatic(t))
	m, _ := p.message2(t)
	ek, err := mlkem.NewEncapsulationKey768(p.i.ek)
	if err != nil {
		t.Fatal(err)
	}
	_, other := ek.Encapsulate()
	copy(m, other)
	if _, _, err := p.i.ReadMessage2(m); !errors.Is(err, ErrFailed) {
		t.Errorf("%v", err)
	}
}

func TestEncapsulationKeyThatIsNone(t *testing.T) {
	static := newStatic(t)
	public := static.PublicKey().Bytes()
	i := &modelInitiator{model: *newModel(prologue, public), e: newStatic(t)}
	m := i.message1(public, bytes.Repeat([]byte{0xff}, 1184), nil) // coefficients beyond the modulus
	r, err := NewResponder(prologue, static)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadMessage1(m); err != nil {
		t.Fatal(err)
	}
	if _, s, err := r.Message2(nil, nil); !errors.Is(err, ErrFailed) || s != nil {
		t.Errorf("%v", err)
	}
}

func TestMessage1WithoutRoomForTheKey(t *testing.T) {
	static := newStatic(t)
	public := static.PublicKey().Bytes()
	i := &modelInitiator{model: *newModel(prologue, public), e: newStatic(t)}
	m := i.message1(public, make([]byte, 1183), nil)
	r, err := NewResponder(prologue, static)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadMessage1(m); !errors.Is(err, ErrFailed) {
		t.Errorf("%v", err)
	}
}

func TestKeysOfSmallOrderAreRefused(t *testing.T) {
	static := newStatic(t)
	small := [][]byte{make([]byte, 32), append([]byte{1}, make([]byte, 31)...)}
	for _, point := range small {
		p := newPair(t, static)
		m := p.message1(t)
		copy(m, point)
		if _, err := p.r.ReadMessage1(m); !errors.Is(err, ErrFailed) {
			t.Errorf("ephemeral of message 1: %v", err)
		}
		p = newPair(t, static)
		m, _ = p.message2(t)
		copy(m[mlkem.CiphertextSize768:], point)
		if _, _, err := p.i.ReadMessage2(m); !errors.Is(err, ErrFailed) {
			t.Errorf("ephemeral of message 2: %v", err)
		}
		i, err := NewInitiator(prologue, [32]byte(point))
		if err == nil {
			_, err = i.Message1(nil, nil)
		}
		if err == nil {
			t.Error("a static key of small order is accepted")
		}
	}
}

func TestStepsInOrderOnly(t *testing.T) {
	static := newStatic(t)
	fresh := func() pair { return newPair(t, static) }
	for name, do := range map[string]func() error{
		"message 2 read before message 1": func() error {
			_, _, err := fresh().i.ReadMessage2(make([]byte, Overhead2))
			return err
		},
		"message 1 twice": func() error {
			p := fresh()
			p.message1(t)
			_, err := p.i.Message1(nil, nil)
			return err
		},
		"message 2 before message 1": func() error {
			_, _, err := fresh().r.Message2(nil, nil)
			return err
		},
		"message 1 read twice": func() error {
			p := fresh()
			m := p.message1(t)
			if _, err := p.r.ReadMessage1(m); err != nil {
				return err
			}
			_, err := p.r.ReadMessage1(m)
			return err
		},
		"message 2 twice": func() error {
			p := fresh()
			p.message2(t)
			_, _, err := p.r.Message2(nil, nil)
			return err
		},
		"message 2 read twice": func() error {
			p := fresh()
			m, _ := p.message2(t)
			if _, _, err := p.i.ReadMessage2(m); err != nil {
				return err
			}
			_, _, err := p.i.ReadMessage2(m)
			return err
		},
	} {
		if err := do(); !errors.Is(err, ErrOrder) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPayloadsAreBounded(t *testing.T) {
	static := newStatic(t)
	p := newPair(t, static)
	if _, err := p.i.Message1(nil, make([]byte, maxPayload+1)); err == nil {
		t.Error("message 1 takes too much")
	}
	p = newPair(t, static)
	m, err := p.i.Message1(nil, make([]byte, maxPayload))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.r.ReadMessage1(m); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.r.Message2(nil, make([]byte, maxPayload+1)); err == nil {
		t.Error("message 2 takes too much")
	}
}

func TestNewResponderWantsX25519(t *testing.T) {
	if _, err := NewResponder(nil, nil); err == nil {
		t.Error("no key is accepted")
	}
	p256, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewResponder(nil, p256); err == nil {
		t.Error("a key of P-256 is accepted")
	}
}
