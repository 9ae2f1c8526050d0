package circuit_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"tunic/cell"
	"tunic/circuit"
	"tunic/circuit/onion"
	"tunic/directory/keys"
)

// exitHop is where the streams of a raw circuit of three hops end.
const exitHop = 2

// An offence is what a client can do that a relay must not bear.
type offence struct {
	name   string
	hops   int         // of the raw circuit, one made with CREATE_DIR for 0
	at     int         // the hop that must notice
	reason cell.Reason // what it finds; the client is told, if that hop is the first
	do     func(r *raw, nw *network)
}

// message returns a relay message with any header.
func message(c cell.RelayCommand, id cell.StreamID, length int, data []byte) []byte {
	m := make([]byte, cell.MessageSize)
	m[0] = byte(c)
	binary.BigEndian.PutUint16(m[1:], uint16(id))
	binary.BigEndian.PutUint16(m[3:], uint16(length))
	copy(m[cell.MessageHeaderSize:], data)
	return m
}

// beginData returns a BEGIN that need not be well-formed.
func beginData(port uint16, host string) []byte {
	b := []byte{0, byte(port >> 8), byte(port), byte(len(host))}
	return append(b, host...)
}

// toExit is an offence that consists of one message to the exit.
func toExit(name string, c cell.RelayCommand, id cell.StreamID, data []byte) offence {
	return offence{name, 3, exitHop, cell.ReasonProtocol, func(r *raw, _ *network) { r.send(exitHop, c, id, data) }}
}

// onStream is an offence on the open stream 1 to a destination.
func onStream(name, host string, do func(r *raw)) offence {
	return offence{name, 3, exitHop, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.begin(exitHop, 1, host, 1)
		do(r)
	}}
}

var offences = []offence{
	// Extending.
	{"EXTEND to an unknown identity", 1, 0, cell.ReasonIdentity, func(r *raw, nw *network) {
		_, whole := extendWhole(r.t, nw, circuit.HopInfo{ID: keys.RelayID{7}, Key: nw.infos()[1].Key})
		for i := range cell.Fragments {
			r.sendIn(cell.RelayEarly, 0, cell.Extend, 0, fragment(i, whole))
		}
	}},
	{"EXTEND with a key that the relay lacks", 1, 0, cell.ReasonDestroyed, func(r *raw, nw *network) {
		_, whole := extendWhole(r.t, nw, circuit.HopInfo{ID: nw.infos()[1].ID, Key: nw.infos()[2].Key})
		for i := range cell.Fragments {
			r.sendIn(cell.RelayEarly, 0, cell.Extend, 0, fragment(i, whole))
		}
	}},
	{"EXTEND in RELAY", 1, 0, cell.ReasonProtocol, func(r *raw, nw *network) {
		_, whole := extendWhole(r.t, nw, nw.infos()[1])
		r.send(0, cell.Extend, 0, fragment(0, whole))
	}},
	{"EXTEND whose second fragment is in RELAY", 1, 0, cell.ReasonProtocol, func(r *raw, nw *network) {
		_, whole := extendWhole(r.t, nw, nw.infos()[1])
		r.sendIn(cell.RelayEarly, 0, cell.Extend, 0, fragment(0, whole))
		r.send(0, cell.Extend, 0, fragment(1, whole))
	}},
	{"EXTEND fragments out of order", 1, 0, cell.ReasonProtocol, func(r *raw, nw *network) {
		_, whole := extendWhole(r.t, nw, nw.infos()[1])
		r.sendIn(cell.RelayEarly, 0, cell.Extend, 0, fragment(1, whole))
	}},
	{"EXTEND fragment twice", 1, 0, cell.ReasonProtocol, func(r *raw, nw *network) {
		_, whole := extendWhole(r.t, nw, nw.infos()[1])
		r.sendIn(cell.RelayEarly, 0, cell.Extend, 0, fragment(0, whole))
		r.sendIn(cell.RelayEarly, 0, cell.Extend, 0, fragment(0, whole))
	}},
	{"EXTEND fragment too short", 1, 0, cell.ReasonProtocol, func(r *raw, nw *network) {
		_, whole := extendWhole(r.t, nw, nw.infos()[1])
		r.sendIn(cell.RelayEarly, 0, cell.Extend, 0, fragment(0, whole)[:100])
	}},
	{"EXTEND interrupted by BEGIN_DIR", 1, 0, cell.ReasonProtocol, func(r *raw, nw *network) {
		_, whole := extendWhole(r.t, nw, nw.infos()[1])
		r.sendIn(cell.RelayEarly, 0, cell.Extend, 0, fragment(0, whole))
		r.send(0, cell.BeginDir, 1, nil)
	}},
	{"second EXTEND while one is pending", 1, 0, cell.ReasonProtocol, func(r *raw, nw *network) {
		nw.relays[0].extend = func(*circuit.Hop, keys.RelayID) {} // no answer yet
		_, whole := extendWhole(r.t, nw, nw.infos()[1])
		for i := range cell.Fragments + 1 {
			r.sendIn(cell.RelayEarly, 0, cell.Extend, 0, fragment(i%cell.Fragments, whole))
		}
	}},
	{"second EXTEND of a hop", 2, 0, cell.ReasonProtocol, func(r *raw, nw *network) {
		_, whole := extendWhole(r.t, nw, nw.infos()[2])
		r.sendIn(cell.RelayEarly, 0, cell.Extend, 0, fragment(0, whole))
	}},
	{"EXTEND after a stream", 1, 0, cell.ReasonProtocol, func(r *raw, nw *network) {
		r.send(0, cell.BeginDir, 1, nil)
		_, whole := extendWhole(r.t, nw, nw.infos()[1])
		r.sendIn(cell.RelayEarly, 0, cell.Extend, 0, fragment(0, whole))
	}},
	{"25th RELAY_EARLY", 3, 0, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.begin(exitHop, 1, "hold", 1)
		for range 24 - cell.Fragments + 1 { // EXTEND to hop 2 took three
			r.sendIn(cell.RelayEarly, exitHop, cell.Data, 1, []byte("x"))
		}
	}},
	{"ninth EXTEND beyond the first hop", 2, 0, cell.ReasonProtocol, func(r *raw, nw *network) {
		for i := range 8 { // each from relay to relay, round and round
			r.extend(nw, nw.infos()[(i+2)%3])
		}
		_, whole := extendWhole(r.t, nw, nw.infos()[1])
		r.sendIn(cell.RelayEarly, 9, cell.Extend, 0, fragment(0, whole))
	}},
	{"25th RELAY_EARLY for the first hop itself", 1, 0, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.send(0, cell.BeginDir, 1, nil)
		for range 25 {
			r.sendIn(cell.RelayEarly, 0, cell.Data, 1, []byte("x"))
		}
	}},

	// Cells.
	{"cell that no hop recognises", 3, exitHop, cell.ReasonProtocol, func(r *raw, _ *network) {
		s := cell.NewSlot()
		clear(s.Body())
		r.push(s, cell.Relay)
	}},
	{"CREATE on a circuit in use", 1, 0, cell.ReasonProtocol, func(r *raw, _ *network) {
		s := cell.NewSlot()
		clear(s.Body())
		r.push(s, cell.Create)
	}},
	{"CREATED from the client", 1, 0, cell.ReasonProtocol, func(r *raw, _ *network) {
		s := cell.NewSlot()
		clear(s.Body())
		r.push(s, cell.Created)
	}},
	{"bit flipped before the first hop", 3, exitHop, cell.ReasonProtocol, flipAt(0)},
	{"bit flipped before the second hop", 3, exitHop, cell.ReasonProtocol, flipAt(1)},
	{"bit flipped before the last hop", 3, exitHop, cell.ReasonProtocol, flipAt(2)},

	// Messages.
	{"length beyond the body", 3, exitHop, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.sendBytes(cell.Relay, exitHop, message(cell.Data, 1, cell.MaxData+1, nil), -1)
	}},
	{"relay command 0", 3, exitHop, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.sendBytes(cell.Relay, exitHop, message(0, 0, 0, nil), -1)
	}},
	{"unknown relay command", 3, exitHop, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.sendBytes(cell.Relay, exitHop, message(200, 0, 0, nil), -1)
	}},
	{"DATA on stream 0", 3, exitHop, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.sendBytes(cell.Relay, exitHop, message(cell.Data, 0, 1, []byte("x")), -1)
	}},
	{"SENDME on stream 1", 3, exitHop, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.sendBytes(cell.Relay, exitHop, message(cell.Sendme, 1, cell.TagSize, nil), -1)
	}},
	toExit("CONNECTED from the client", cell.Connected, 1, make([]byte, 5)),
	toExit("RESOLVED from the client", cell.Resolved, 1, []byte{1, 0xf1, 0, 0, 0, 0, 0}),
	toExit("EXTENDED from the client", cell.Extended, 0, make([]byte, 10)),
	toExit("DROP that was not negotiated", cell.Drop, 0, nil),
	toExit("DNS that was not negotiated", cell.DNS, 1, make([]byte, 12)),
	{"message for a hop that is not the last", 3, 1, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.send(1, cell.BeginDir, 1, nil)
	}},

	// Streams.
	toExit("DATA for an unknown stream", cell.Data, 1, []byte("x")),
	toExit("END for an unknown stream", cell.End, 1, []byte{6}),
	toExit("XON for an unknown stream", cell.XOn, 1, make([]byte, 4)),
	toExit("BEGIN without a port", cell.Begin, 1, []byte{0}),
	toExit("BEGIN with port 0", cell.Begin, 1, beginData(0, "echo")),
	toExit("BEGIN with NUL in the name", cell.Begin, 1, beginData(1, "ec\x00ho")),
	toExit("BEGIN with an upper-case name", cell.Begin, 1, beginData(1, "Echo")),
	toExit("BEGIN with an empty name", cell.Begin, 1, beginData(1, "")),
	toExit("BEGIN with a name of 256 bytes", cell.Begin, 1, append([]byte{0, 0, 1, 255}, bytes.Repeat([]byte("a"), 256)...)),
	toExit("BEGIN with a name that is cut off", cell.Begin, 1, []byte{0, 0, 1, 9, 'e'}),
	toExit("BEGIN with bytes behind the name", cell.Begin, 1, append(beginData(1, "echo"), 0)),
	toExit("BEGIN with an unknown flag", cell.Begin, 1, append([]byte{8}, beginData(1, "echo")[1:]...)),
	toExit("BEGIN_DIR with data", cell.BeginDir, 1, []byte{0}),
	toExit("RESOLVE of an unknown kind", cell.Resolve, 1, []byte{2, 1, 'a'}),
	onStream("second BEGIN of one stream id", "hold", func(r *raw) {
		r.send(exitHop, cell.Begin, 1, beginData(1, "hold"))
	}),
	onStream("RESOLVE with the id of a stream", "hold", func(r *raw) {
		r.send(exitHop, cell.Resolve, 1, []byte{0, 1, 'a'})
	}),
	toExitTwice("second RESOLVE of one stream id", cell.Resolve, append([]byte{0, 13}, "never.example"...)),
	onStream("DATA after END", "hold", func(r *raw) {
		r.send(exitHop, cell.End, 1, []byte{byte(cell.EndDone)})
		r.send(exitHop, cell.Data, 1, []byte("x"))
	}),
	onStream("DATA after giving up", "hold", func(r *raw) {
		r.send(exitHop, cell.End, 1, []byte{byte(cell.EndMisc)})
		r.send(exitHop, cell.Data, 1, []byte("x"))
	}),
	onStream("second orderly END", "hold", func(r *raw) {
		r.send(exitHop, cell.End, 1, []byte{byte(cell.EndDone)})
		r.send(exitHop, cell.End, 1, []byte{byte(cell.EndDone)})
	}),
	onStream("END with an empty body", "hold", func(r *raw) { r.send(exitHop, cell.End, 1, nil) }),
	onStream("END with reason 0", "hold", func(r *raw) { r.send(exitHop, cell.End, 1, []byte{0}) }),
	onStream("END of two bytes", "hold", func(r *raw) { r.send(exitHop, cell.End, 1, []byte{6, 6}) }),
	onStream("DATA without data", "hold", func(r *raw) { r.send(exitHop, cell.Data, 1, nil) }),
	onStream("XON without XOFF", "hold", func(r *raw) { r.send(exitHop, cell.XOn, 1, make([]byte, 4)) }),
	onStream("XOFF without cause", "hold", func(r *raw) { r.send(exitHop, cell.XOff, 1, nil) }),
	{"more streams than a circuit has", 3, exitHop, cell.ReasonResource, func(r *raw, _ *network) {
		for i := range circuit.MaxStreams + 1 {
			r.send(exitHop, cell.Resolve, cell.StreamID(1+i), append([]byte{0, 13}, "never.example"...))
		}
	}},

	// Where streams may go.
	{"BEGIN on the first hop", 1, 0, cell.ReasonRefused, func(r *raw, _ *network) {
		r.send(0, cell.Begin, 1, beginData(1, "echo"))
	}},
	{"RESOLVE on the first hop", 1, 0, cell.ReasonRefused, func(r *raw, _ *network) {
		r.send(0, cell.Resolve, 1, []byte{0, 1, 'a'})
	}},
	{"BEGIN on a circuit for the directory", 0, 0, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.send(0, cell.Begin, 1, beginData(1, "echo"))
	}},
	{"RESOLVE on a circuit for the directory", 0, 0, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.send(0, cell.Resolve, 1, []byte{0, 1, 'a'})
	}},
	{"DATA on a circuit for the directory", 0, 0, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.send(0, cell.Data, 1, []byte("x"))
	}},
	{"DNS on a circuit for the directory", 0, 0, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.send(0, cell.DNS, 1, make([]byte, 12))
	}},
	{"EXTEND on a circuit for the directory", 0, 0, cell.ReasonProtocol, func(r *raw, nw *network) {
		_, whole := extendWhole(r.t, nw, nw.infos()[1])
		r.sendIn(cell.RelayEarly, 0, cell.Extend, 0, fragment(0, whole))
	}},

	// Flow control.
	toExit("SENDME not owed", cell.Sendme, 0, make([]byte, cell.TagSize)),
	toExit("SENDME without a tag", cell.Sendme, 0, nil),
	{"SENDME with a wrong tag", 3, exitHop, cell.ReasonProtocol, func(r *raw, _ *network) {
		tags := r.download(31)
		tags[30][5] ^= 1
		r.send(exitHop, cell.Sendme, 0, tags[30][:])
	}},
	{"SENDME with the tag of another cell", 3, exitHop, cell.ReasonProtocol, func(r *raw, _ *network) {
		tags := r.download(31)
		r.send(exitHop, cell.Sendme, 0, tags[29][:])
	}},
	{"SENDME twice", 3, exitHop, cell.ReasonProtocol, func(r *raw, _ *network) {
		tags := r.download(62)
		r.send(exitHop, cell.Sendme, 0, tags[30][:])
		r.send(exitHop, cell.Sendme, 0, tags[30][:])
	}},
	{"SENDME computed in advance", 3, exitHop, cell.ReasonProtocol, func(r *raw, _ *network) {
		tag := r.predict()
		r.send(exitHop, cell.Sendme, 0, tag[:])
	}},
	onStream("data beyond XOFF and a window", "hold", func(r *raw) {
		full := make([]byte, cell.MaxData)
		for i := range 4*500 + 1 + 16_384 + 1 { // up to the XOFF, a window, one more
			if i%8_000 == 0 { // let the client's own queue run empty
				r.roundTrip()
			}
			r.send(exitHop, cell.Data, 1, full)
		}
	}),
}

// toExitTwice is an offence that consists of the same message twice.
func toExitTwice(name string, c cell.RelayCommand, data []byte) offence {
	return offence{name, 3, exitHop, cell.ReasonProtocol, func(r *raw, _ *network) {
		r.send(exitHop, c, 1, data)
		r.send(exitHop, c, 1, data)
	}}
}

// flipAt is an offence of the hop before the one with this number.
func flipAt(hop int) func(r *raw, nw *network) {
	return func(r *raw, _ *network) {
		r.begin(exitHop, 1, "hold", 1)
		r.sendBytes(cell.Relay, exitHop, message(cell.Data, 1, 1, []byte("x")), hop)
	}
}

// download opens a stream that sends noise, and returns the tags of its first n
// DATA cells.
func (r *raw) download(n int) []onion.Tag {
	r.begin(exitHop, 1, "source", 1000)
	var tags []onion.Tag
	for range n {
		tags = append(tags, r.expect(cell.Data).tag)
	}
	return tags
}

// predict computes the tag of the 31st DATA cell of a download from the keys and
// the content, which a client may know, as if all padding were zeros. It checks
// that the prediction is right for the cells before.
func (r *raw) predict() onion.Tag {
	state := onion.NewState((*onion.Key)(&r.seed[exitHop].Inward))
	originate := func(c cell.RelayCommand, id cell.StreamID, data []byte) onion.Tag {
		s := cell.NewSlot()
		defer s.Release()
		cell.PutMessage(s.Message(), c, id, data)
		return state.RelayOriginate(byte(cell.Relay), s.Body())
	}
	data, _ := cell.BeginRequest{Host: "source", Port: 1000}.AppendBinary(nil)
	r.send(exitHop, cell.Begin, 1, data)
	connected := r.expect(cell.Connected)
	if tag := originate(cell.Connected, 1, connected.Data); tag != connected.tag {
		r.t.Error("prediction is wrong for CONNECTED: the test shows nothing")
	}
	content := newNoise()
	buf := make([]byte, cell.MaxData)
	for range 30 {
		content.Read(buf)
		if got := r.expect(cell.Data); originate(cell.Data, 1, buf) != got.tag {
			r.t.Fatal("prediction is wrong for a cell without random padding: the test shows nothing")
		}
	}
	content.Read(buf[:cell.MaxAckedData])
	predicted := originate(cell.Data, 1, buf[:cell.MaxAckedData])
	marked := r.expect(cell.Data)
	if !bytes.Equal(marked.Data, buf[:cell.MaxAckedData]) {
		r.t.Errorf("marked cell carries %d bytes, or others, want %d", len(marked.Data), cell.MaxAckedData)
	}
	return predicted
}

// TestHostileClient has a client break each rule in turn. The circuit ends where
// and with the reason that the specification says; another circuit of the same
// link lives on.
func TestHostileClient(t *testing.T) {
	nw := newNetwork(t, 3)
	cl := newClient(nw)
	bystander := cl.build(3)
	for _, o := range offences {
		t.Run(o.name, func(t *testing.T) {
			nw.relays[0].extend = nil
			r := o.raw(t, cl)
			h := nw.relays[o.at].newest()
			o.do(r, nw)
			want := cell.ReasonDestroyed
			if o.at == 0 {
				want = o.reason
			}
			r.expectEnd(want)
			err := gone(t, h)
			if d, ok := errors.AsType[*circuit.DestroyError](err); !ok || d.Reason != o.reason {
				t.Errorf("relay %d ended the circuit: %v, want %v", o.at, err, o.reason)
			}
			livesOn(t, bystander)
		})
	}
}

func (o offence) raw(t *testing.T, cl *client) *raw {
	if o.hops == 0 {
		return cl.buildRawDir(t)
	}
	return cl.buildRaw(t, o.hops)
}
