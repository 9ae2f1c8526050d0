// Package hybrid is a key agreement of two messages, as a machine without I/O:
// the Noise pattern NKpsk2 with X25519, AES-GCM and SHA-256, whose psk is the
// outcome of ML-KEM-768. The initiator knows the responder's static key and
// stays anonymous; the responder is authenticated by X25519 alone. What the
// session carries stays secret unless X25519 and ML-KEM-768 both fall. The
// package knows no identities and no network: both ends bind those through the
// prologue. Links and hops use it alike.
//
//	message 1  noise message 1; its payload is an encapsulation key of 1,184 bytes ‖ payload
//	message 2  KEM ciphertext of 1,088 bytes ‖ noise message 2, whose payload is payload
//	psk        SHA3-256(label ‖ shared secret ‖ ciphertext ‖ encapsulation key)
//
// An [Initiator] or a [Responder] serves one handshake. After any error it
// refuses everything: its Noise state would be a transcript that no peer
// follows.
//
// Specification: docs/protocol.md, "Hybrid handshake". The two change together.
package hybrid

import (
	"crypto/mlkem"
	"crypto/sha3"
	"errors"
	"fmt"

	"github.com/flynn/noise"
)

const ( // fixed by docs/protocol.md, "Hybrid handshake"; bytes
	// Overhead1 is what message 1 adds to its payload.
	Overhead1 = keySize + tagSize + mlkem.EncapsulationKeySize768
	// Overhead2 is what message 2 adds to its payload.
	Overhead2 = mlkem.CiphertextSize768 + keySize + tagSize
	// TagSize is what [Cipher.Seal] adds to a record.
	TagSize = tagSize

	keySize = 32 // X25519
	tagSize = 16 // AES-GCM

	// maxPayload bounds the payloads of both messages, so that each message
	// stays below Noise's 65,535 bytes with room to spare.
	maxPayload = 16384

	// pskPlacement is the "psk2" of the pattern's name. With any other number
	// flynn/noise builds another protocol, without a word.
	pskPlacement = 2

	// labelPSK is keys.LabelHybridPSK, which this package may not import.
	labelPSK = "tunic 1 hybrid psk"
)

// ErrFailed is in the chain of every error that the peer's bytes cause.
var ErrFailed = errors.New("handshake failed")

// ErrOrder says that a method was called out of order, or after an error.
var ErrOrder = errors.New("handshake step out of order")

// step is how far a handshake is.
type step uint8

const (
	stepStart  step = iota
	stepHalf        // message 1 is written or read
	stepClosed      // done, or failed
)

// advance moves from one step to the next. The handshake counts as failed
// until the caller of advance says otherwise.
func (s *step) advance(from step) error {
	was := *s
	*s = stepClosed
	if was != from {
		return ErrOrder
	}
	return nil
}

// newState starts the Noise half of a handshake.
func newState(suite noise.CipherSuite, prologue []byte, initiator bool, static noise.DHKey, peer []byte) (*noise.HandshakeState, error) {
	state, err := noise.NewHandshakeState(noise.Config{
		CipherSuite:           suite,
		Pattern:               noise.HandshakeNK,
		Initiator:             initiator,
		Prologue:              prologue,
		PresharedKeyPlacement: pskPlacement,
		StaticKeypair:         static,
		PeerStatic:            peer,
	})
	if err != nil {
		return nil, fmt.Errorf("noise: %w", err)
	}
	return state, nil
}

// setPSK gives the Noise state the outcome of the KEM, and wipes secret.
func setPSK(state *noise.HandshakeState, secret, ciphertext, encapsulationKey []byte) error {
	h := sha3.New256()
	_, _ = h.Write([]byte(labelPSK))
	_, _ = h.Write(secret)
	_, _ = h.Write(ciphertext)
	_, _ = h.Write(encapsulationKey)
	clear(secret)
	psk := h.Sum(nil)
	defer clear(psk)
	h.Reset()
	return state.SetPresharedKey(psk)
}
