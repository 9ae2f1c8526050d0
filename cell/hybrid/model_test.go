package hybrid

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"errors"
)

// model is the handshake once more, written from docs/protocol.md and the Noise
// specification with nothing of flynn/noise: the machine that the shipped one
// is held against. It takes its randomness as arguments.
type model struct {
	h, ck, k []byte
	n        uint64
}

func newModel(prologue, static []byte) *model {
	name := []byte("Noise_NKpsk2_25519_AESGCM_SHA256")
	m := &model{h: make([]byte, 32)}
	if copy(m.h, name) != len(name) {
		m.h = hashOf(name)
	}
	m.ck = m.h
	m.mixHash(prologue)
	m.mixHash(static)
	return m
}

func hashOf(parts ...[]byte) []byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func (m *model) mixHash(b []byte) { m.h = hashOf(m.h, b) }

// outputs is Noise's HKDF.
func (m *model) outputs(input []byte) (o1, o2, o3 []byte) {
	temp := mac(m.ck, input)
	o1 = mac(temp, []byte{1})
	o2 = mac(temp, o1, []byte{2})
	o3 = mac(temp, o2, []byte{3})
	return o1, o2, o3
}

func (m *model) mixKey(input []byte) { m.ck, m.k, _ = m.outputs(input); m.n = 0 }

func (m *model) mixKeyAndHash(input []byte) {
	ck, h, k := m.outputs(input)
	m.ck, m.k, m.n = ck, k, 0
	m.mixHash(h)
}

func modelGCM(key []byte, n uint64) (cipher.AEAD, []byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm, binary.BigEndian.AppendUint64(make([]byte, 4), n)
}

func (m *model) seal(plain []byte) []byte {
	gcm, nonce := modelGCM(m.k, m.n)
	out := gcm.Seal(nil, nonce, plain, m.h)
	m.n++
	m.mixHash(out)
	return out
}

func (m *model) open(sealed []byte) ([]byte, error) {
	gcm, nonce := modelGCM(m.k, m.n)
	out, err := gcm.Open(nil, nonce, sealed, m.h)
	m.n++
	m.mixHash(sealed)
	return out, err
}

func dh(key *ecdh.PrivateKey, public []byte) []byte {
	p, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		panic(err)
	}
	out, err := key.ECDH(p)
	if err != nil {
		panic(err)
	}
	return out
}

func modelPSK(secret, ciphertext, ek []byte) []byte {
	h := sha3.New256()
	for _, p := range [][]byte{[]byte("tunic 1 hybrid psk"), secret, ciphertext, ek} {
		h.Write(p)
	}
	return h.Sum(nil)
}

// split returns the keys of the session: from initiator to responder, back.
func (m *model) split() (forth, back []byte) {
	forth, back, _ = m.outputs(nil)
	return forth, back
}

// modelInitiator is the model's first speaker.
type modelInitiator struct {
	model
	e   *ecdh.PrivateKey
	kem *mlkem.DecapsulationKey768
	ek  []byte
}

// message1 returns message 1; ek is what it sends as its encapsulation key.
func (i *modelInitiator) message1(static, ek, payload []byte) []byte {
	i.ek = ek
	e := i.e.PublicKey().Bytes()
	i.mixHash(e)
	i.mixKey(e)
	i.mixKey(dh(i.e, static))
	return append(e, i.seal(append(append([]byte{}, ek...), payload...))...)
}

func (i *modelInitiator) readMessage2(msg []byte) ([]byte, error) {
	ciphertext, re, box := msg[:1088], msg[1088:1120], msg[1120:]
	secret, err := i.kem.Decapsulate(ciphertext)
	if err != nil {
		return nil, err
	}
	i.mixHash(re)
	i.mixKey(re)
	i.mixKey(dh(i.e, re))
	i.mixKeyAndHash(modelPSK(secret, ciphertext, i.ek))
	return i.open(box)
}

// modelResponder is the model's second speaker.
type modelResponder struct {
	model
	static, e *ecdh.PrivateKey
	re, ek    []byte
}

func (r *modelResponder) readMessage1(msg []byte) ([]byte, error) {
	r.re = msg[:32]
	r.mixHash(r.re)
	r.mixKey(r.re)
	r.mixKey(dh(r.static, r.re))
	inner, err := r.open(msg[32:])
	if err != nil || len(inner) < 1184 {
		return nil, errors.Join(err, errors.New("message 1"))
	}
	r.ek = inner[:1184]
	return inner[1184:], nil
}

// message2 encapsulates with the given randomness. Its psk is what usePSK makes
// of the right one: a test's way to get it wrong.
func (r *modelResponder) message2(payload, random []byte, usePSK func(psk []byte) []byte) ([]byte, error) {
	ek, err := mlkem.NewEncapsulationKey768(r.ek)
	if err != nil {
		return nil, err
	}
	secret, ciphertext, err := mlkemtest.Encapsulate768(ek, random)
	if err != nil {
		return nil, err
	}
	e := r.e.PublicKey().Bytes()
	r.mixHash(e)
	r.mixKey(e)
	r.mixKey(dh(r.e, r.re))
	r.mixKeyAndHash(usePSK(modelPSK(secret, ciphertext, r.ek)))
	return append(append(ciphertext, e...), r.seal(payload)...), nil
}

func right(psk []byte) []byte { return psk }

func modelExport(key []byte, label string, n int) []byte {
	out, err := hkdf.Expand(sha256.New, key, label, n)
	if err != nil {
		panic(err)
	}
	return out
}
