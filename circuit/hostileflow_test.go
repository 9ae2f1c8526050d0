package circuit_test

import (
	"testing"

	"tunic/cell"
	"tunic/circuit"
)

// A flowCase is what the receiver of a stream's data says about its flow, and
// whether the sender may bear it.
type flowCase struct {
	name  string
	cells int // full cells of data that the sender has sent
	state string
	says  []cell.Message
	ok    bool
}

// What a sender's user does behind its data.
const (
	halfClosed = "half-closed"
	closed     = "closed"
)

// costCells is how many full cells of data one message costs.
const costCells = circuit.XOffLimit / 2 / cell.MaxData

var (
	sayOff = cell.Message{Command: cell.XOff}
	sayOn0 = sayOn(0)
)

func sayOn(rate cell.XOnRate) cell.Message {
	return cell.Message{Command: cell.XOn, Data: xonData(rate)}
}

var flowCases = []flowCase{
	{"XOFF before the first byte", 0, "", []cell.Message{sayOff}, false},
	{"XON before the first byte", 0, "", []cell.Message{sayOn(1000)}, false},
	{"XOFF a cell too early", costCells - 1, "", []cell.Message{sayOff}, false},
	{"XOFF as early as may be", costCells, "", []cell.Message{sayOff}, true},
	{"XOFF and XON", costCells, "", []cell.Message{sayOff, sayOn0}, true},
	{"second XOFF without XON", 2 * costCells, "", []cell.Message{sayOff, sayOff}, false},
	{"second XOFF too early", 2*costCells - 1, "", []cell.Message{sayOff, sayOn0, sayOff}, false},
	{"second XOFF", 2 * costCells, "", []cell.Message{sayOff, sayOn0, sayOff}, true},
	{"XON without XOFF", costCells, "", []cell.Message{sayOn0}, false},
	{"advice without a rate in force", 2 * costCells, "", []cell.Message{sayOff, sayOn0, sayOn(1000)}, false},
	{"advice", costCells, "", []cell.Message{sayOff, sayOn(1000), sayOn(2000)}, true},
	{"advice that says nothing", costCells, "", []cell.Message{sayOff, sayOn(1000), sayOn(1000)}, false},
	{"more advice than data", 2*costCells - 1, "", []cell.Message{sayOff, sayOn(1000), sayOn(2000), sayOn(1000)}, false},
	{"XOFF with data", costCells, "", []cell.Message{{Command: cell.XOff, Data: []byte{0}}}, false},
	{"XON of five bytes", costCells, "", []cell.Message{sayOff, {Command: cell.XOn, Data: make([]byte, 5)}}, false},

	{"XOFF and XON on a half-closed stream", costCells, halfClosed, []cell.Message{sayOff, sayOn(1000)}, true},
	{"XOFF without cause on a half-closed stream", costCells - 1, halfClosed, []cell.Message{sayOff}, false},
	{"XOFF and XON on a closed stream", costCells, closed, []cell.Message{sayOff, sayOn(1000)}, true},
	{"second XOFF on a closed stream", 2 * costCells, closed, []cell.Message{sayOff, sayOff}, false},
	{"XOFF without cause on a closed stream", costCells - 1, closed, []cell.Message{sayOff}, false},
	{"XON without XOFF on a closed stream", costCells, closed, []cell.Message{sayOn0}, false},
}

// end has the sender's user do what the case says.
func (fc *flowCase) end(s *circuit.Stream) {
	switch fc.state {
	case halfClosed:
		s.CloseWrite()
	case closed:
		s.Close()
	}
}

// TestFlowThatAnExitSays has an exit say all that to a client that uploads.
func TestFlowThatAnExitSays(t *testing.T) {
	toRawExit, bystander := beforeRawExit(t)
	for _, fc := range flowCases {
		t.Run(fc.name, func(t *testing.T) {
			c, h := toRawExit(t)
			defer c.Close()
			s := begun(t, c, h)
			k := newSink(t, h)
			go s.Write(make([]byte, fc.cells*cell.MaxData))
			k.until(s.ID(), fc.cells*cell.MaxData)
			fc.end(s)
			for _, m := range fc.says {
				h.send(m.Command, s.ID(), m.Data)
			}
			if fc.ok {
				goesOn(t, c, h)
				return
			}
			destroyed(t, "the client's end", c, -1, cell.ReasonProtocol)
			livesOn(t, bystander)
		})
	}
}

// goesOn shows that the client has borne what the hop said before.
func goesOn(t *testing.T, c *circuit.Circuit, h *rawHop) {
	t.Helper()
	s, err := c.Begin("any", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for { // past what the client said on the other stream
		m := await(t, "BEGIN", h.got)
		if m.Command == cell.Begin {
			h.send(cell.Connected, m.Stream, make([]byte, 5))
			break
		}
	}
	if err := s.WaitConnected(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestFlowThatAClientSays has a client say all that to an exit that it downloads
// from.
func TestFlowThatAClientSays(t *testing.T) {
	nw := newNetwork(t, 3)
	exit := nw.relays[2]
	current := make(chan flowCase, 1)
	sent := make(chan struct{})
	exit.serveAny(func(s *circuit.Stream) {
		fc := <-current
		s.Write(make([]byte, fc.cells*cell.MaxData))
		fc.end(s)
		sent <- struct{}{}
		<-s.Done()
	})
	cl := newClient(nw)
	bystander := cl.build(3)
	for _, fc := range flowCases {
		t.Run(fc.name, func(t *testing.T) {
			current <- fc
			r := cl.buildRaw(t, 3)
			r.begin(exitHop, 1, "any", 1)
			r.fetch(fc.cells * cell.MaxData)
			<-sent
			for _, m := range fc.says {
				r.send(exitHop, m.Command, 1, m.Data)
			}
			if fc.ok {
				r.roundTrip()
				r.lc.Destroy(cell.ReasonNone)
				return
			}
			hop := exit.newest()
			r.expectEnd(cell.ReasonDestroyed)
			destroyed(t, "the exit", hop, -1, cell.ReasonProtocol)
			livesOn(t, bystander)
		})
	}
}

// fetch takes n bytes of data, and acknowledges them.
func (r *raw) fetch(n int) {
	r.t.Helper()
	for cells := 1; n > 0; cells++ {
		m := r.expect(cell.Data)
		n -= len(m.Data)
		if cells%31 == 0 {
			r.send(exitHop, cell.Sendme, 0, m.tag[:])
		}
	}
}

// TestFlowThatAnotherHopSays has the guard say XOFF and XON for the exit's stream,
// and a client say them to a hop that has no such stream.
func TestFlowThatAnotherHopSays(t *testing.T) {
	for _, m := range []cell.Message{sayOff, sayOn0} {
		nw := newNetwork(t, 3)
		hops := nw.relays[0].goRaw()
		c := newClient(nw).build(3)
		h := <-hops
		s, err := c.Dial(t.Context(), "sum", 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.Write(make([]byte, costCells*cell.MaxData)) // cause enough, for its own hop
		h.send(m.Command, s.ID(), m.Data)
		destroyed(t, m.Command.String()+" of the guard", c, -1, cell.ReasonProtocol)

		nw.relays[0].rawHops.Store(nil)
		r := newClient(nw).buildRaw(t, 3)
		hop := nw.relays[1].newest()
		r.begin(exitHop, 1, "source", 200)
		r.fetch(costCells * cell.MaxData)
		r.send(1, m.Command, 1, m.Data)
		destroyed(t, m.Command.String()+" to the middle", hop, -1, cell.ReasonProtocol)
	}
}
