package hybrid

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"errors"
	"fmt"

	"github.com/flynn/noise"
)

// A Responder is the end that owns the static key. It serves one handshake and
// one goroutine.
type Responder struct {
	step  step
	state *noise.HandshakeState
	keys  *suite // of state; nil in tests with another suite
	ek    []byte // the initiator's encapsulation key as received
}

// NewResponder starts a handshake for the holder of the X25519 key static.
func NewResponder(prologue []byte, static *ecdh.PrivateKey) (*Responder, error) {
	if static == nil || static.Curve() != ecdh.X25519() {
		return nil, errors.New("static key is not of X25519")
	}
	keys := &suite{static: static}
	r, err := newResponder(keys, prologue, static)
	if err != nil {
		return nil, err
	}
	r.keys = keys
	return r, nil
}

func newResponder(s noise.CipherSuite, prologue []byte, static *ecdh.PrivateKey) (*Responder, error) {
	pair := noise.DHKey{Private: []byte{slotStatic}, Public: static.PublicKey().Bytes()}
	state, err := newState(s, prologue, false, pair, nil)
	if err != nil {
		return nil, err
	}
	return &Responder{state: state}, nil
}

// ReadMessage1 opens message 1 and returns its payload, in memory of its own.
// It costs one X25519 and one AEAD; the rest of the cost is [Responder.Message2]'s,
// so a caller asks its [Replay] in between. An error has [ErrFailed] in its
// chain.
func (r *Responder) ReadMessage1(msg []byte) ([]byte, error) {
	if err := r.step.advance(stepStart); err != nil {
		return nil, err
	}
	if len(msg) < Overhead1 || len(msg) > Overhead1+maxPayload {
		return nil, fmt.Errorf("message 1 of %d bytes: %w", len(msg), ErrFailed)
	}
	inner, _, _, err := r.state.ReadMessage(nil, msg)
	if err != nil || len(inner) < mlkem.EncapsulationKeySize768 {
		return nil, fmt.Errorf("message 1: %w", ErrFailed)
	}
	r.ek = inner[:mlkem.EncapsulationKeySize768:mlkem.EncapsulationKeySize768]
	r.step = stepHalf
	return inner[mlkem.EncapsulationKeySize768:], nil
}

// Message2 appends message 2, [Overhead2] + len(payload) bytes, to dst, and
// returns the session. payload must not overlap dst's spare room. An
// encapsulation key that is none is an error with [ErrFailed] in its chain.
func (r *Responder) Message2(dst, payload []byte) ([]byte, *Session, error) {
	if err := r.step.advance(stepHalf); err != nil {
		return nil, nil, err
	}
	if len(payload) > maxPayload {
		return nil, nil, fmt.Errorf("payload of %d bytes in message 2", len(payload))
	}
	peer, err := mlkem.NewEncapsulationKey768(r.ek)
	if err != nil {
		return nil, nil, fmt.Errorf("message 1: encapsulation key: %w", ErrFailed)
	}
	secret, ciphertext := peer.Encapsulate()
	if err := setPSK(r.state, secret, ciphertext, r.ek); err != nil {
		return nil, nil, fmt.Errorf("message 2: %w", err)
	}
	msg, in, out, err := r.state.WriteMessage(append(dst, ciphertext...), payload)
	if err != nil || out == nil || in == nil {
		// The initiator's ephemeral key passed one DH already: the other can
		// only fail for a key of small order, which the first refuses.
		return nil, nil, fmt.Errorf("message 2: %w", ErrFailed)
	}
	s := newSession(r.state, out, in)
	r.keys.forget()
	r.state, r.ek = nil, nil
	return msg, s, nil
}

// Ephemeral returns the initiator's ephemeral key out of a message 1 that
// [Responder.ReadMessage1] has accepted: what [Replay.Seen] remembers.
func Ephemeral(msg1 []byte) (e [32]byte) {
	copy(e[:], msg1)
	return e
}
