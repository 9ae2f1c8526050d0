package handshake

import (
	"fmt"

	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

// Answer is the relay's end: it reads message 1 and returns message 2, [Size]
// bytes. id is the relay's own identity, key the circuit key that [KeyID]
// names, or nil when the relay has no such key. grant decides what to give of
// what the client asks; what it returns beyond that is cut, and nil gives
// nothing. Unless replay is nil, a message 1 that it has seen is not answered
// again.
//
// The error is [ErrMalformed], [ErrVersion], [ErrUnknownKey], [ErrFailed] or
// [ErrReplay]. The first three cost nothing, the fourth one X25519 (two where
// the client holds to the protocol but for its encapsulation key), an answer
// three and an encapsulation.
func Answer(network [32]byte, id keys.RelayID, key *keys.CircuitKey, msg []byte, grant func(ask Extensions) Extensions, replay *hybrid.Replay) (reply []byte, r *Result, err error) {
	keyID, err := KeyID(msg)
	if err != nil {
		return nil, nil, err
	}
	if key == nil || key.ID() != keyID {
		return nil, nil, ErrUnknownKey
	}
	machine, err := hybrid.NewResponder(keys.HopPrologue(version, network, id, keyID), key.ECDH())
	if err != nil {
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	msg = msg[headerSize:]
	payload, err := machine.ReadMessage1(msg)
	if err != nil {
		return nil, nil, failed(err)
	}
	if replay != nil && replay.Seen(hybrid.Ephemeral(msg)) {
		return nil, nil, ErrReplay
	}
	asked, _, err := parseExtensions(payload)
	if err != nil {
		return nil, nil, err
	}
	granted := decide(asked, grant)
	var out [grantedSize]byte
	granted.put(out[:])
	reply, session, err := machine.Message2(make([]byte, 0, Size), out[:])
	if err != nil {
		return nil, nil, failed(err)
	}
	return reply, derive(session.Recv, session.Send, &session.Hash, granted), nil
}

// decide asks grant, and cuts its answer to what was asked.
func decide(asked Extensions, grant func(Extensions) Extensions) Extensions {
	if grant == nil {
		return Extensions{}
	}
	granted := grant(asked)
	granted.Features &= asked.Features
	if asked.SendmeInc == 0 {
		granted.SendmeInc = 0
	}
	return granted
}
