// Package cell encodes and decodes what travels between two neighbours: cells
// of fixed size, and the relay messages inside them. It knows no keys, no
// connections and no time: package link moves cells, package circuit gives
// them meaning. A cell is [Size] bytes, integers big-endian:
//
//	circuit    4  CircuitID; the top bit says which side chose it
//	command    1  Command
//	body     512  by command
//
// The body of a relay cell is a tag of 16 bytes, which belongs to the layer
// cipher, and a message of 496:
//
//	command    1  RelayCommand
//	stream     2  StreamID, 0 for the circuit itself
//	length     2  of the data, at most 491
//	data     491  data, then padding
//
// Specification: docs/protocol.md, "Cells". The two change together.
package cell

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const ( // fixed by docs/protocol.md, "Cells"; bytes
	Size        = HeaderSize + BodySize
	HeaderSize  = 4 + 1 // circuit id, command
	BodySize    = 512   // a multiple of AES-GCM's stride in Go
	TagSize     = 16
	MessageSize = BodySize - TagSize
	// MessageHeaderSize is command, stream and length of a relay message.
	MessageHeaderSize = 1 + 2 + 2
	// MaxData is the most that one relay message carries.
	MaxData = MessageSize - MessageHeaderSize
	// MaxAckedData is the most that a DATA message carries in a cell that a
	// SENDME will answer: the 16 bytes behind it are random, so that nobody
	// can compute the tag of a cell it has not received.
	MaxAckedData = MaxData - 16
	// RecordCells is the most cells in one record of a link.
	RecordCells = 31
)

// ErrMalformed is in the chain of every error that a peer's bytes cause.
var ErrMalformed = errors.New("malformed")

// A CircuitID names a circuit on one link. 0 is the link itself.
type CircuitID uint32

// initiatorBit is set in the ids that the link's initiator chooses.
const initiatorBit = 1 << 31

// FromInitiator reports whether the link's initiator chose the id.
func (id CircuitID) FromInitiator() bool { return id&initiatorBit != 0 }

// WithInitiator returns id with its top bit as the given side must set it.
func (id CircuitID) WithInitiator(initiator bool) CircuitID {
	if initiator {
		return id | initiatorBit
	}
	return id &^ initiatorBit
}

// A Command says what a cell's body holds.
type Command uint8

// The commands. Those of the link itself travel on circuit id 0.
const (
	Padding          Command = 0 // circuit 0: dropped
	Create           Command = 1 // a fragment of a hop's handshake
	Created          Command = 2 // a fragment of its answer
	Relay            Command = 3
	RelayEarly       Command = 4 // a relay cell that may carry EXTEND
	Destroy          Command = 5
	CreateDir        Command = 6  // 32 random bytes: a one-hop circuit for the directory
	CreatedDir       Command = 7  // 32 random bytes
	Proof            Command = 8  // circuit 0, first record: who the initiator is
	NetInfo          Command = 9  // circuit 0, first record: the peer's address and our time
	NegotiatePadding Command = 10 // circuit 0: link padding
)

var commandNames = [...]string{"PADDING", "CREATE", "CREATED", "RELAY", "RELAY_EARLY", "DESTROY",
	"CREATE_DIR", "CREATED_DIR", "PROOF", "NETINFO", "NEGOTIATE_PADDING"}

func (c Command) String() string {
	if int(c) < len(commandNames) {
		return commandNames[c]
	}
	return fmt.Sprintf("command %d", uint8(c))
}

// Known reports whether c is a command of this protocol.
func (c Command) Known() bool { return int(c) < len(commandNames) }

// OfLink reports whether c travels on circuit id 0 only.
func (c Command) OfLink() bool {
	return c == Padding || c == Proof || c == NetInfo || c == NegotiatePadding
}

// A Header is the part of a cell before its body.
type Header struct {
	Circuit CircuitID
	Command Command
}

// ParseHeader decodes the first [HeaderSize] bytes of c.
func ParseHeader(c *[Size]byte) Header {
	return Header{CircuitID(binary.BigEndian.Uint32(c[:4])), Command(c[4])}
}

// PutHeader writes h to the first [HeaderSize] bytes of b.
func PutHeader(b []byte, h Header) {
	_ = b[HeaderSize-1]
	binary.BigEndian.PutUint32(b, uint32(h.Circuit))
	b[4] = byte(h.Command)
}
