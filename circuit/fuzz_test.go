package circuit_test

import (
	"testing"

	"tunic/cell"
	"tunic/circuit"
)

// A script is a sequence of messages: of each, the command of the cell (RELAY or
// RELAY_EARLY) in the top bit and the relay command, the stream id, how many bytes
// of data, and the data.
func script(messages ...[]byte) []byte {
	var b []byte
	for _, m := range messages {
		b = append(b, m...)
	}
	return b
}

func line(outer cell.Command, c cell.RelayCommand, id cell.StreamID, data []byte) []byte {
	first := byte(c)
	if outer == cell.RelayEarly {
		first |= 0x80
	}
	return append([]byte{first, byte(id), byte(len(data))}, data...)
}

// say sends what a script says, 64 messages at most.
func say(b []byte, send func(outer cell.Command, message []byte)) {
	for range 64 {
		if len(b) < 3 {
			return
		}
		outer := cell.Relay
		if b[0]&0x80 != 0 {
			outer = cell.RelayEarly
		}
		n := min(int(b[2]), len(b)-3)
		send(outer, message(cell.RelayCommand(b[0]&0x7f), cell.StreamID(b[1]), int(b[2]), b[3:3+n]))
		b = b[3+n:]
	}
}

// FuzzHop is all that a client which has made a circuit can say to its last hop.
// Whatever it is, another circuit of the same links goes on.
func FuzzHop(f *testing.F) {
	f.Add(script(
		line(cell.Relay, cell.Begin, 1, beginData(1, "echo")),
		line(cell.Relay, cell.Data, 1, []byte("abc")),
		line(cell.Relay, cell.End, 1, []byte{6}),
		line(cell.Relay, cell.End, 1, []byte{1}),
		line(cell.Relay, cell.Resolve, 2, append([]byte{0, 12}, "none.example"...)),
		line(cell.Relay, cell.BeginDir, 3, nil),
		line(cell.Relay, cell.End, 3, []byte{1}),
	))
	f.Add(script(
		line(cell.Relay, cell.Begin, 1, beginData(9, "source")),
		line(cell.Relay, cell.End, 1, []byte{1}),
		line(cell.Relay, cell.XOff, 1, nil),
	))
	f.Add(line(cell.RelayEarly, cell.Extend, 0, make([]byte, 200)))
	f.Add(line(cell.Relay, cell.Sendme, 0, make([]byte, 16)))
	nw := newMemoryNetwork(f, 2)
	cl := newClient(nw)
	bystander := cl.build(2)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := cl.buildRaw(t, 2)
		say(b, func(outer cell.Command, m []byte) { r.sendBytes(outer, 1, m, -1) })
		r.lc.Destroy(cell.ReasonNone)
		if err := echo(bystander); err != nil {
			t.Errorf("another circuit: %v", err)
		}
	})
}

// FuzzClient is all that the last hop of a circuit can say to its client.
func FuzzClient(f *testing.F) {
	connected := make([]byte, 5)
	f.Add(script(
		line(cell.Relay, cell.Connected, 1, connected),
		line(cell.Relay, cell.Data, 1, []byte("abc")),
		line(cell.Relay, cell.End, 1, []byte{6}),
		line(cell.Relay, cell.Resolved, 2, []byte{1, 0xf1, 0, 0, 0, 0, 0}),
	))
	f.Add(line(cell.Relay, cell.Extended, 0, make([]byte, 200)))
	f.Add(line(cell.RelayEarly, cell.Data, 1, []byte("x")))
	nw := newMemoryNetwork(f, 2)
	hops := nw.relays[1].goRaw()
	cl := newClient(nw)
	f.Fuzz(func(t *testing.T, b []byte) {
		c := cl.build(2)
		defer c.Close()
		h := <-hops
		first, err := c.Begin("echo", 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		h.expect(t, cell.Begin)
		say(b, func(outer cell.Command, m []byte) {
			if m[2] == 1 {
				m[1], m[2] = byte(first.ID()>>8), byte(first.ID())
			}
			h.sendBytesIn(outer, m)
		})
		first.Close()
		d, err := circuit.OpenDir(t.Context(), cl.link(), nw.params)
		if err != nil {
			t.Fatalf("another circuit: %v", err)
		}
		d.Close()
	})
}
