package cell_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"tunic/cell"
)

// message returns a relay message of zeros with the given header.
func message(c cell.RelayCommand, s cell.StreamID, n int) []byte {
	b := make([]byte, cell.MessageSize)
	cell.PutMessageHeader(b, c, s, n)
	return b
}

func TestMessageRoundTrip(t *testing.T) {
	for n := 1; n <= cell.MaxData; n += 35 {
		data := bytes.Repeat([]byte{0xa5}, n)
		b := bytes.Repeat([]byte{0xff}, cell.MessageSize)
		cell.PutMessage(b, cell.Data, 0x1234, data)
		m, err := cell.ParseMessage(b)
		if err != nil {
			t.Fatalf("ParseMessage of %d bytes of data: %v", n, err)
		}
		if m.Command != cell.Data || m.Stream != 0x1234 || !bytes.Equal(m.Data, data) {
			t.Errorf("ParseMessage = %v on %#x with %d bytes, want DATA on 0x1234 with %d", m.Command, m.Stream, len(m.Data), n)
		}
		if pad := b[cell.MessageHeaderSize+n:]; !bytes.Equal(pad, make([]byte, len(pad))) {
			t.Errorf("PutMessage of %d bytes leaves something in the padding", n)
		}
		if cap(m.Data) != n {
			t.Errorf("the data's capacity is %d, want %d: an append would write into the padding", cap(m.Data), n)
		}
	}
}

func TestParseMessageRejects(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
	}{
		{"nothing", nil},
		{"one byte short", message(cell.Data, 1, 1)[:cell.MessageSize-1]},
		{"one byte long", append(message(cell.Data, 1, 1), 0)},
		{"command 0", message(0, 1, 1)},
		{"unknown command", message(15, 1, 1)},
		{"last command", message(255, 1, 1)},
		{"length one beyond the message", message(cell.Data, 1, cell.MaxData+1)},
		{"largest length", message(cell.Data, 1, 0xffff)},
		{"DATA without data", message(cell.Data, 1, 0)},
		{"DATA on the circuit", message(cell.Data, 0, 1)},
		{"BEGIN on the circuit", message(cell.Begin, 0, 10)},
		{"END on the circuit", message(cell.End, 0, 1)},
		{"SENDME on a stream", message(cell.Sendme, 1, 16)},
		{"EXTEND on a stream", message(cell.Extend, 1, 491)},
		{"DROP on a stream", message(cell.Drop, 1, 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if m, err := cell.ParseMessage(tt.in); !errors.Is(err, cell.ErrMalformed) {
				t.Errorf("ParseMessage = %v, %v, want ErrMalformed", m.Command, err)
			}
		})
	}
}

func TestParseMessageKnowsItsCommands(t *testing.T) {
	for c := range 256 {
		c := cell.RelayCommand(c)
		stream := cell.StreamID(0)
		if c.OfStream() {
			stream = 1
		}
		_, err := cell.ParseMessage(message(c, stream, 1))
		if (err == nil) != c.Known() {
			t.Errorf("%v: known %v, but ParseMessage says %v", c, c.Known(), err)
		}
		if c.Known() == strings.HasPrefix(c.String(), "relay command ") {
			t.Errorf("command %d: known %v, but its name is %q", uint8(c), c.Known(), c)
		}
	}
}

func TestPutMessagePanicsBeyondItsRoom(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("PutMessage took 492 bytes of data")
		}
	}()
	cell.PutMessage(make([]byte, cell.MessageSize), cell.Data, 1, make([]byte, cell.MaxData+1))
}
