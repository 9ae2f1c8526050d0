package cell

import (
	"encoding/binary"
	"fmt"
)

// A StreamID names a stream on a circuit; 0 is the circuit itself. The client
// chooses it.
type StreamID uint16

// A RelayCommand says what a relay message means.
type RelayCommand uint8

// The relay commands.
const (
	Begin     RelayCommand = 1  // stream: open a TCP connection; see [ParseBegin]
	Connected RelayCommand = 2  // stream: it is open; see [ParseConnected]
	Data      RelayCommand = 3  // stream: 1 to 491 bytes
	End       RelayCommand = 4  // stream: no more data this way, or none at all; one byte, [EndReason]
	Resolve   RelayCommand = 5  // stream: look a name up; see [ParseResolve]
	Resolved  RelayCommand = 6  // stream: the answer; see [ParseResolved]
	BeginDir  RelayCommand = 7  // stream: open a connection to the directory, no data
	Sendme    RelayCommand = 8  // circuit: acknowledges 31 cells; the 16 bytes of the tag of the last
	XOn       RelayCommand = 9  // stream: go on sending; see [ParseXOn]
	XOff      RelayCommand = 10 // stream: stop sending; no data
	Extend    RelayCommand = 11 // circuit: a fragment, see [ParseFragment]
	Extended  RelayCommand = 12 // circuit: a fragment of the answer
	Drop      RelayCommand = 13 // circuit: padding between a client and one hop; only where negotiated
	DNS       RelayCommand = 14 // stream: a whole DNS message; only where negotiated
)

var relayNames = [...]string{"", "BEGIN", "CONNECTED", "DATA", "END", "RESOLVE", "RESOLVED", "BEGIN_DIR", "SENDME",
	"XON", "XOFF", "EXTEND", "EXTENDED", "DROP", "DNS"}

func (c RelayCommand) String() string {
	if c > 0 && int(c) < len(relayNames) {
		return relayNames[c]
	}
	return fmt.Sprintf("relay command %d", uint8(c))
}

// OfStream reports whether the command belongs to a stream, so that its stream
// id must not be 0; of all others it must be.
func (c RelayCommand) OfStream() bool {
	switch c {
	case Begin, Connected, Data, End, Resolve, Resolved, BeginDir, XOn, XOff, DNS:
		return true
	}
	return false
}

// Known reports whether c is a command of this protocol.
func (c RelayCommand) Known() bool { return c > 0 && int(c) < len(relayNames) }

// A Message is a relay message. Data aliases the cell that it came in.
type Message struct {
	Command RelayCommand
	Stream  StreamID
	Data    []byte
}

// ParseMessage decodes b, the [MessageSize] bytes of a recognised relay cell.
// It refuses unknown commands, a length beyond the message, DATA without data,
// and a stream id that is 0 for a command of a stream or not 0 for one of the
// circuit. The result aliases b. It does not allocate unless it fails.
func ParseMessage(b []byte) (Message, error) {
	if len(b) != MessageSize {
		return Message{}, fmt.Errorf("relay message of %d bytes: %w", len(b), ErrMalformed)
	}
	m := Message{Command: RelayCommand(b[0]), Stream: StreamID(binary.BigEndian.Uint16(b[1:]))}
	n := int(binary.BigEndian.Uint16(b[3:]))
	switch {
	case !m.Command.Known():
		return Message{}, fmt.Errorf("%v: %w", m.Command, ErrMalformed)
	case n > MaxData:
		return Message{}, fmt.Errorf("%v with a length of %d: %w", m.Command, n, ErrMalformed)
	case m.Command == Data && n == 0:
		return Message{}, fmt.Errorf("DATA without data: %w", ErrMalformed)
	case m.Command.OfStream() != (m.Stream != 0):
		return Message{}, fmt.Errorf("%v with stream id %d: %w", m.Command, m.Stream, ErrMalformed)
	}
	m.Data = b[MessageHeaderSize : MessageHeaderSize+n : MessageHeaderSize+n]
	return m, nil
}

// PutMessageHeader writes a message's header to b; n is the length of the data
// that the caller has put, or will put, at b[MessageHeaderSize:].
func PutMessageHeader(b []byte, c RelayCommand, s StreamID, n int) {
	_ = b[MessageHeaderSize-1]
	b[0] = byte(c)
	binary.BigEndian.PutUint16(b[1:], uint16(s))
	binary.BigEndian.PutUint16(b[3:], uint16(n))
}

// PutMessage writes a whole message to b, which has [MessageSize] bytes: header,
// data, zeros. It panics if data has more than [MaxData] bytes.
func PutMessage(b []byte, c RelayCommand, s StreamID, data []byte) {
	if len(data) > MaxData {
		panic("cell: message too long")
	}
	PutMessageHeader(b, c, s, len(data))
	n := copy(b[MessageHeaderSize:MessageSize], data)
	clear(b[MessageHeaderSize+n : MessageSize])
}
