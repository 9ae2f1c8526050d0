// Package handshake is the key agreement of a client with one hop of a circuit:
// the hybrid handshake against the relay's circuit key, in two messages of the
// same fixed size, and the keys of the layers that follow from it. The client
// stays anonymous, the relay is authenticated by its circuit key. The package
// knows no cells and no circuits: package cell cuts the messages in fragments,
// package circuit moves them.
//
//	message 1  version 1 ‖ circuit key's id 8 ‖ hybrid message 1
//	message 2  hybrid message 2
//
// Both carry, encrypted, an [Extensions] padded with zeros: what the client
// asks for, and what the relay grants.
//
// Specification: docs/protocol.md, "Handshake with a hop". The two change
// together.
package handshake

import (
	"errors"
	"fmt"

	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

const ( // fixed by docs/protocol.md, "Handshake with a hop"; bytes
	// Size is the size of both messages.
	Size = 1416

	headerSize   = 1 + 8 // version, circuit key's id
	askedSize    = Size - headerSize - hybrid.Overhead1
	grantedSize  = Size - hybrid.Overhead2
	version      = 1
	layerKeySize = 48
	bindingSize  = 32
)

// What can go wrong.
var (
	// ErrMalformed: the bytes have another shape than this protocol's.
	ErrMalformed = errors.New("malformed handshake")
	// ErrVersion: message 1 is of a version that this relay does not answer.
	ErrVersion = errors.New("handshake version not answered")
	// ErrUnknownKey: message 1 names a circuit key that is not this one. No
	// key agreement was computed.
	ErrUnknownKey = errors.New("circuit key unknown")
	// ErrFailed: the cryptography did not come out right: other keys, another
	// network, another relay, or changed bytes.
	ErrFailed = errors.New("handshake failed")
	// ErrReplay: message 1 has been answered before.
	ErrReplay = errors.New("handshake repeated")
	// ErrGrant: the relay granted what was not asked.
	ErrGrant = errors.New("granted what was not asked")
)

// A Result is what a handshake leaves at both ends.
type Result struct {
	Outward [layerKeySize]byte // the layer's keys from client to relay: KB 16 ‖ KS 16 ‖ N 16
	Inward  [layerKeySize]byte // the same from relay to client
	Binding [bindingSize]byte  // unique to the circuit's hop; a secret of both ends
	Ext     Extensions         // what was granted
}

// Wipe overwrites the keys.
func (r *Result) Wipe() {
	clear(r.Outward[:])
	clear(r.Inward[:])
	clear(r.Binding[:])
}

// KeyID returns the id of the circuit key that message 1 names,
// before anything is computed. The error is [ErrMalformed] or [ErrVersion].
func KeyID(msg []byte) (keys.CircuitKeyID, error) {
	if len(msg) != Size {
		return keys.CircuitKeyID{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(msg))
	}
	if msg[0] != version {
		return keys.CircuitKeyID{}, fmt.Errorf("%w: %d", ErrVersion, msg[0])
	}
	return keys.CircuitKeyID(msg[1:headerSize]), nil
}

// failed turns an error of package hybrid into ours. It drops the detail, so
// that all failures look alike.
func failed(err error) error {
	if errors.Is(err, hybrid.ErrFailed) {
		return ErrFailed
	}
	return fmt.Errorf("handshake: %w", err)
}
