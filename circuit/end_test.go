package circuit_test

import (
	"errors"
	"io"
	"testing"

	"tunic/cell"
	"tunic/circuit"
)

// A step of a conversation about one stream: what the raw client says, what the
// exit's user does, or what the client must get.
type step struct {
	who  string // "client", "exit", "got"
	what cell.EndReason
}

// TestEndsOfAStream plays both sides' ends in every order that is allowed. Each
// time the raw client gets just the ENDs that stand there, and the circuit lives.
func TestEndsOfAStream(t *testing.T) {
	const done, misc, reset = cell.EndDone, cell.EndMisc, cell.EndReset
	tests := map[string][]step{
		"client gives up":                     {{"client", misc}, {"got", misc}, {"exit", 0}},
		"client's unknown reason":             {{"client", 200}, {"got", misc}, {"exit", 0}},
		"exit gives up":                       {{"exit", reset}, {"got", reset}, {"client", misc}},
		"exit closes":                         {{"exit", 0}, {"got", misc}, {"client", misc}},
		"exit gives up, client orderly":       {{"exit", reset}, {"got", reset}, {"client", done}},
		"both orderly, client first":          {{"client", done}, {"exit", done}, {"got", done}, {"exit", 0}},
		"both orderly, exit first":            {{"exit", done}, {"got", done}, {"client", done}, {"exit", 0}},
		"client orderly, exit closes":         {{"client", done}, {"exit", 0}, {"got", done}},
		"client orderly, exit resets":         {{"client", done}, {"exit", reset}, {"got", reset}},
		"client orderly, then gives up":       {{"client", done}, {"client", misc}, {"got", misc}, {"exit", 0}},
		"exit orderly, then gives up":         {{"exit", done}, {"got", done}, {"exit", reset}, {"got", reset}, {"client", misc}},
		"exit orderly, client gives up":       {{"exit", done}, {"got", done}, {"client", misc}, {"exit", 0}},
		"all four":                            {{"client", done}, {"exit", done}, {"got", done}, {"client", misc}, {"exit", 0}},
		"exit gives up, client says all":      {{"exit", reset}, {"got", reset}, {"client", done}, {"client", misc}},
		"crossing: client's end on its way":   {{"exit", reset}, {"client", misc}, {"got", reset}},
		"exit ends both, client ends orderly": {{"exit", done}, {"exit", reset}, {"got", done}, {"got", reset}, {"client", done}, {"client", misc}},
	}
	nw := newNetwork(t, 3)
	exit := nw.relays[2]
	streams := make(chan *circuit.Stream, 1)
	exit.begin = func(s *circuit.Stream, req cell.BeginRequest) {
		if req.Host == "echo" {
			exit.work.Go(func() { serve(s, req) })
			return
		}
		s.Connect(cell.ConnectedReply{})
		streams <- s
	}
	cl := newClient(nw)
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			r := cl.buildRaw(t, 3)
			r.begin(exitHop, 5, "any", 1)
			s := <-streams
			for _, st := range steps {
				r.play(s, st)
			}
			r.roundTrip()
			if n := s.Hop().Streams(); n != 0 {
				t.Errorf("the exit has %d streams left", n)
			}
			r.send(exitHop, cell.Data, 5, []byte("x")) // after all ends: an offence
			r.expectEnd(cell.ReasonDestroyed)
		})
	}
}

// play does one step.
func (r *raw) play(s *circuit.Stream, st step) {
	r.t.Helper()
	switch st.who {
	case "client":
		r.send(exitHop, cell.End, 5, []byte{byte(st.what)})
		r.roundTrip()
	case "exit":
		if st.what == cell.EndDone {
			s.CloseWrite()
		} else {
			s.Refuse(st.what)
		}
	default:
		if m := r.next(); m.Command != cell.End || m.Data[0] != byte(st.what) {
			r.t.Errorf("got %v %v, want END %v", m.Command, m.Data, st.what)
		}
	}
}

// roundTrip waits until the exit has taken in all that was sent. What it said
// meanwhile is kept for next.
func (r *raw) roundTrip() {
	r.t.Helper()
	r.send(exitHop, cell.Resolve, 99, append([]byte{0, 12}, "none.example"...))
	for {
		m := await(r.t, "RESOLVED", r.got)
		if m.Command == cell.Resolved {
			return
		}
		r.kept = append(r.kept, m)
	}
}

// next returns the next message, those kept first.
func (r *raw) next() rawMessage {
	r.t.Helper()
	if len(r.kept) > 0 {
		m := r.kept[0]
		r.kept = r.kept[1:]
		return m
	}
	return await(r.t, "a message", r.got)
}

// TestDataBeforeAnEndIsRead closes a stream behind its last data.
func TestDataBeforeAnEndIsRead(t *testing.T) {
	nw := newNetwork(t, 3)
	exit := nw.relays[2]
	type result struct {
		got string
		err error
	}
	results := make(chan result, 1)
	ended := make(chan struct{})
	exit.begin = func(s *circuit.Stream, _ cell.BeginRequest) {
		exit.work.Go(func() {
			s.Connect(cell.ConnectedReply{})
			<-ended
			<-s.Done()
			got, err := io.ReadAll(s)
			results <- result{string(got), err}
			if _, err := s.Write([]byte("x")); err == nil {
				t.Error("Write works after the client gave up")
			}
			s.Close()
		})
	}
	c := newClient(nw).build(3)
	s, err := c.Dial(t.Context(), "any", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(s, "last words")
	s.Close()
	close(ended)
	r := await(t, "what the exit reads", results)
	if end, ok := errors.AsType[*circuit.EndError](r.err); !ok || end.Reason != cell.EndMisc || r.got != "last words" {
		t.Errorf("the exit reads %q, %v; want what was written, then the client's end", r.got, r.err)
	}
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("Read works after Close")
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestUnconnectedStreamAtARelay cannot be written to; it can be closed.
func TestUnconnectedStreamAtARelay(t *testing.T) {
	nw := newNetwork(t, 3)
	exit := nw.relays[2]
	checked := make(chan struct{})
	exit.begin = func(s *circuit.Stream, req cell.BeginRequest) {
		exit.work.Go(func() {
			defer close(checked)
			if _, err := s.Write([]byte("x")); err == nil {
				t.Error("Write works before Connect")
			}
			if err := s.CloseWrite(); err == nil {
				t.Error("CloseWrite works before Connect")
			}
			s.Close()
			if err := s.Connect(cell.ConnectedReply{}); err == nil {
				t.Error("Connect works after Close")
			}
		})
	}
	c := newClient(nw).build(3)
	_, err := c.Dial(t.Context(), "any", 1, 0)
	if end, ok := errors.AsType[*circuit.EndError](err); !ok || end.Reason != cell.EndMisc {
		t.Errorf("%v, want an EndError", err)
	}
	<-checked
}

// TestClientSaysNoMore holds that a client's ends give no reason away.
func TestClientSaysNoMore(t *testing.T) {
	nw := newNetwork(t, 1)
	hops := nw.relays[0].goRaw()
	c := newClient(nw).build(1)
	h := <-hops
	s, err := c.Begin("any", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.connect(t)
	s.Refuse(cell.EndReset)
	if m := h.expect(t, cell.End); m.Data[0] != byte(cell.EndMisc) {
		t.Errorf("a client's END says %v", cell.EndReason(m.Data[0]))
	}
}

// TestLateEnd has a client give up streams that are over: as many as the
// specification says are remembered, each once.
func TestLateEnd(t *testing.T) {
	nw := newNetwork(t, 3)
	exit := nw.relays[2]
	exit.begin = func(s *circuit.Stream, _ cell.BeginRequest) {
		s.Connect(cell.ConnectedReply{})
		s.CloseWrite()
	}
	cl := newClient(nw)
	r := cl.buildRaw(t, 3)
	for id := range cell.StreamID(circuit.MaxLate) {
		r.begin(exitHop, id+1, "any", 1)
		r.expect(cell.End)
		r.send(exitHop, cell.End, id+1, []byte{byte(cell.EndDone)})
	}
	for id := range cell.StreamID(circuit.MaxLate) {
		r.send(exitHop, cell.End, id+1, []byte{byte(cell.EndMisc)})
	}
	r.roundTrip()
	r.send(exitHop, cell.End, 1, []byte{byte(cell.EndMisc)})
	r.expectEnd(cell.ReasonDestroyed)
}
