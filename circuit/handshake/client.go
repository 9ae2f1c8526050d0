package handshake

import (
	"fmt"

	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

// A Client is the client's end of one handshake. It serves one goroutine.
type Client struct {
	hybrid *hybrid.Initiator
	asked  Extensions
}

// Start begins a handshake with the relay id, whose circuit key the client
// knows from its own consensus, in the network with the given digest. msg is
// message 1, [Size] bytes. It costs two X25519 and one ML-KEM key generation.
func Start(network [32]byte, id keys.RelayID, key keys.CircuitPublic, ask Extensions) (c *Client, msg []byte, err error) {
	keyID := key.ID()
	machine, err := hybrid.NewInitiator(keys.HopPrologue(version, network, id, keyID), key)
	if err != nil {
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	msg = append(make([]byte, 0, Size), version)
	msg = append(msg, keyID[:]...)
	var payload [askedSize]byte
	ask.put(payload[:])
	msg, err = machine.Message1(msg, payload[:])
	if err != nil {
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	return &Client{hybrid: machine, asked: ask}, msg, nil
}

// Finish reads message 2. The error is [ErrMalformed], [ErrFailed] or
// [ErrGrant]; after any the client is of no further use. It costs one X25519
// and one decapsulation.
func (c *Client) Finish(reply []byte) (*Result, error) {
	if len(reply) != Size {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(reply))
	}
	payload, session, err := c.hybrid.ReadMessage2(reply)
	if err != nil {
		return nil, failed(err)
	}
	granted, unknown, err := parseExtensions(payload)
	if err != nil {
		return nil, err
	}
	if unknown != 0 || !granted.within(c.asked) {
		return nil, ErrGrant
	}
	return derive(session.Send, session.Recv, &session.Hash, granted), nil
}
