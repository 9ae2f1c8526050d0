package hybrid

import (
	"crypto/mlkem"
	"fmt"

	"github.com/flynn/noise"
)

// An Initiator is the end that speaks first. It serves one handshake and one
// goroutine.
type Initiator struct {
	step  step
	state *noise.HandshakeState
	keys  *suite // of state; nil in tests with another suite
	kem   *mlkem.DecapsulationKey768
	ek    []byte // the encapsulation key as sent
}

// NewInitiator starts a handshake with the holder of the X25519 key static.
// prologue is copied into the transcript: both ends must have the same.
func NewInitiator(prologue []byte, static [32]byte) (*Initiator, error) {
	keys := &suite{}
	i, err := newInitiator(keys, prologue, static)
	if err != nil {
		return nil, err
	}
	i.keys = keys
	return i, nil
}

func newInitiator(s noise.CipherSuite, prologue []byte, static [32]byte) (*Initiator, error) {
	state, err := newState(s, prologue, true, noise.DHKey{}, static[:])
	if err != nil {
		return nil, err
	}
	return &Initiator{state: state}, nil
}

// Message1 appends message 1, [Overhead1] + len(payload) bytes, to dst. The
// payload has neither forward secrecy nor the KEM's: who gets the responder's
// static key can read it. It must not overlap dst's spare room.
func (i *Initiator) Message1(dst, payload []byte) ([]byte, error) {
	if err := i.step.advance(stepStart); err != nil {
		return nil, err
	}
	if len(payload) > maxPayload {
		return nil, fmt.Errorf("payload of %d bytes in message 1", len(payload))
	}
	kem, err := mlkem.GenerateKey768()
	if err != nil {
		return nil, fmt.Errorf("encapsulation key: %w", err)
	}
	i.kem, i.ek = kem, kem.EncapsulationKey().Bytes()
	inner := append(append(make([]byte, 0, len(i.ek)+len(payload)), i.ek...), payload...)
	msg, _, _, err := i.state.WriteMessage(dst, inner)
	if err != nil {
		return nil, fmt.Errorf("message 1: %w", err)
	}
	i.step = stepHalf
	return msg, nil
}

// ReadMessage2 opens message 2 and returns its payload, in memory of its own,
// and the session. An error of the peer's making has [ErrFailed] in its chain;
// which bytes were wrong it does not tell.
func (i *Initiator) ReadMessage2(msg []byte) ([]byte, *Session, error) {
	if err := i.step.advance(stepHalf); err != nil {
		return nil, nil, err
	}
	if len(msg) < Overhead2 || len(msg) > Overhead2+maxPayload {
		return nil, nil, fmt.Errorf("message 2 of %d bytes: %w", len(msg), ErrFailed)
	}
	ciphertext, inner := msg[:mlkem.CiphertextSize768], msg[mlkem.CiphertextSize768:]
	secret, err := i.kem.Decapsulate(ciphertext)
	if err != nil {
		return nil, nil, fmt.Errorf("message 2: ciphertext: %w", ErrFailed)
	}
	// flynn/noise reads message 2 without a psk as if it were empty: nothing
	// may stand between this error and the call of ReadMessage.
	if err := setPSK(i.state, secret, ciphertext, i.ek); err != nil {
		return nil, nil, fmt.Errorf("message 2: %w", err)
	}
	payload, out, in, err := i.state.ReadMessage(nil, inner)
	if err != nil || out == nil || in == nil {
		return nil, nil, fmt.Errorf("message 2: %w", ErrFailed)
	}
	s := newSession(i.state, out, in)
	i.keys.forget()
	i.state, i.kem, i.ek = nil, nil, nil
	return payload, s, nil
}
