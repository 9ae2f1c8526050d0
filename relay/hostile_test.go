package relay_test

import (
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/link/linktest"
	"tunic/circuit/handshake"
	"tunic/directory/keys"
)

// hostile links a hostile client to a relay; as a relay's if set is not nil.
func (nw *testNet) hostile(r *testRelay, set *keys.Set) *linktest.Hostile {
	nw.t.Helper()
	o := linktest.Options{Prologue: linktest.Prologue(nw.network.Digest(), r.ID())}
	if set != nil {
		o.As = &linktest.Relay{Proof: set.Proof()}
	}
	return linktest.Connect(nw.t, r.target(), o)
}

// fragments returns the bodies of the CREATE cells of a handshake message.
func fragments(msg []byte) [][]byte {
	var all [][]byte
	for i := range cell.Fragments {
		b := make([]byte, cell.BodySize)
		cell.PutFragment(b, cell.AssembleCreate, i, msg)
		all = append(all, b)
	}
	return all
}

// message1 returns a good handshake message for r.
func (nw *testNet) message1(r *testRelay) []byte {
	nw.t.Helper()
	h := r.hop()
	_, msg, err := handshake.Start(nw.network.Digest(), h.ID, h.Key, handshake.Extensions{})
	if err != nil {
		nw.t.Fatal(err)
	}
	return msg
}

func TestBadCreate(t *testing.T) {
	nw := newNet(t, 1, options{})
	r := nw.relays[0]
	good := fragments(nw.message1(r))
	changed := func(i int) [][]byte {
		msg := nw.message1(r)
		msg[i]++
		return fragments(msg)
	}
	replayed := fragments(nw.message1(r))
	rows := []struct {
		name   string
		send   [][]byte
		reason cell.Reason
	}{
		{"second fragment first", good[1:2], cell.ReasonProtocol},
		{"no second fragment", [][]byte{good[0], good[2]}, cell.ReasonProtocol},
		{"first fragment twice", [][]byte{good[0], good[0]}, cell.ReasonProtocol},
		{"no such fragment", [][]byte{{9}}, cell.ReasonProtocol},
		{"more behind the last", [][]byte{good[0], good[1], append(append([]byte(nil), good[2][:500]...), 1)}, cell.ReasonProtocol},
		{"version", changed(0), cell.ReasonProtocol},
		{"circuit key", changed(1), cell.ReasonKey},
		{"ephemeral key", changed(20), cell.ReasonProtocol},
		{"sealed part", changed(1000), cell.ReasonProtocol},
		{"replayed", replayed, cell.ReasonProtocol},
	}
	first := nw.hostile(r, nil)
	for _, b := range replayed {
		first.Send(first.NewID(1), cell.Create, b)
	}
	for range cell.Fragments {
		first.Expect(first.NewID(1), cell.Created)
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			h := nw.hostile(r, nil)
			id := h.NewID(1)
			for _, b := range row.send {
				h.Send(id, cell.Create, b)
			}
			if got := h.ExpectDestroy(id); got != row.reason {
				t.Errorf("destroyed with %v, want %v", got, row.reason)
			}
			h.Alive()
			// The link still takes a good handshake.
			for _, b := range fragments(nw.message1(r)) {
				h.Send(h.NewID(2), cell.Create, b)
			}
			h.Expect(h.NewID(2), cell.Created)
		})
	}
	first.Alive()
}

func TestFourthFragmentEndsTheCircuit(t *testing.T) {
	nw := newNet(t, 1, options{})
	h := nw.hostile(nw.relays[0], nil)
	id := h.NewID(1)
	all := fragments(nw.message1(nw.relays[0]))
	h.SendCells(linktest.Cell{ID: id, Command: cell.Create, Body: all[0]}, linktest.Cell{ID: id, Command: cell.Create, Body: all[1]},
		linktest.Cell{ID: id, Command: cell.Create, Body: all[2]}, linktest.Cell{ID: id, Command: cell.Create, Body: all[0]})
	for {
		c, err := h.Next(5 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if c.Command == cell.Created { // a worker was done before the reader came to the fourth
			continue
		}
		if c.ID != id || c.Command != cell.Destroy || cell.Reason(c.Body[0]) != cell.ReasonProtocol {
			t.Errorf("got %v", c)
		}
		break
	}
	h.Alive()
	if n := nw.relays[0].Status().Circuits; n > 1 { // Alive's own
		t.Errorf("%d circuits left", n)
	}
}

// Ten thousand handshakes begun on one link cost 64 incomplete ones; the rest is
// refused, and nobody else notices.
func TestFloodOfHandshakes(t *testing.T) {
	t.Parallel() // a link that is refused so much is slowed
	nw := newNet(t, 2, options{})
	r := nw.relays[0]
	first := fragments(nw.message1(r))[0]
	h := nw.hostile(r, nil)
	const perLink, flood = 64, 10_000
	for sent := 0; sent < flood; {
		var cells []linktest.Cell
		for ; len(cells) < cell.RecordCells && sent < flood; sent++ {
			cells = append(cells, linktest.Cell{ID: h.NewID(uint32(sent)), Command: cell.Create, Body: first})
		}
		h.SendCells(cells...)
		for i := range cells {
			n := sent - len(cells) + i
			if n < perLink {
				continue
			}
			if got := h.ExpectDestroy(h.NewID(uint32(n))); got != cell.ReasonResource {
				t.Fatalf("circuit %d destroyed with %v", n, got)
			}
		}
	}
	h.Alive()
	// Later fragments of what was refused are passed over, those of what was not
	// are taken.
	h.Send(h.NewID(flood-1), cell.Create, fragments(nw.message1(r))[1])
	c := nw.circuit(nw.client(nil), nw.relays...)
	if _, err := c.DialDir(nw.ctx()); err != nil {
		t.Errorf("another client's circuit: %v", err)
	}
	h.Alive()
	if n := r.Status().Refused["incomplete handshakes"]; n != flood-perLink {
		t.Errorf("%d refusals counted, want %d", n, flood-perLink)
	}
}

// All clients together have room for 1,024 incomplete handshakes. Whoever fills it
// keeps nobody out: the oldest makes room for the newest.
func TestClientsShareReassemblies(t *testing.T) {
	nw := newNet(t, 1, options{})
	r := nw.relays[0]
	first := fragments(nw.message1(r))[0]
	var all []*linktest.Hostile
	for range 16 {
		h := nw.hostile(r, nil)
		for i := range uint32(64) {
			h.Send(h.NewID(i), cell.Create, first)
		}
		h.Alive()
		all = append(all, h)
	}
	oldest := all[0]
	late := nw.hostile(r, nil)
	late.Send(late.NewID(1), cell.Create, first)
	if got := oldest.ExpectDestroy(oldest.NewID(0)); got != cell.ReasonResource {
		t.Errorf("destroyed with %v", got)
	}
	oldest.Send(oldest.NewID(0), cell.Create, fragments(nw.message1(r))[1]) // was under way
	for _, b := range fragments(nw.message1(r)) {
		late.Send(late.NewID(2), cell.Create, b)
	}
	for range cell.Fragments {
		late.Expect(late.NewID(2), cell.Created)
	}
	if got := oldest.ExpectDestroy(oldest.NewID(1)); got != cell.ReasonResource { // and nothing else for the first
		t.Errorf("destroyed with %v", got)
	}
}

// A DESTROY gives back what a handshake that has not come whole takes.
func TestDestroyBeforeTheHandshakeIsWhole(t *testing.T) {
	nw := newNet(t, 1, options{})
	r := nw.relays[0]
	h := nw.hostile(r, nil)
	all := fragments(nw.message1(r))
	for i := range uint32(200) { // a link has room for 64
		h.Send(h.NewID(i), cell.Create, all[0])
		h.Send(h.NewID(i), cell.Destroy, nil)
	}
	for _, b := range all {
		h.Send(h.NewID(1000), cell.Create, b)
	}
	for range cell.Fragments {
		h.Expect(h.NewID(1000), cell.Created)
	}
}

func TestCircuitsOfALinkAreBounded(t *testing.T) {
	nw := newNet(t, 1, options{})
	h := nw.hostile(nw.relays[0], nil)
	const perLink = 1024
	nonce := make([]byte, cell.DirNonceSize)
	for i := range uint32(perLink) {
		h.Send(h.NewID(i), cell.CreateDir, nonce)
		h.Expect(h.NewID(i), cell.CreatedDir)
	}
	h.Send(h.NewID(perLink), cell.CreateDir, nonce)
	if got := h.ExpectDestroy(h.NewID(perLink)); got != cell.ReasonResource {
		t.Errorf("destroyed with %v", got)
	}
	// One that ends makes room for another.
	h.Send(h.NewID(0), cell.Destroy, nil)
	h.Send(h.NewID(perLink+1), cell.CreateDir, nonce)
	h.Expect(h.NewID(perLink+1), cell.CreatedDir)
}

func TestCircuitsOfASourceAreBounded(t *testing.T) {
	nw := newEmptyNet(t, options{public: true})
	r := nw.add(options{}, 0)
	nonce := make([]byte, cell.DirNonceSize)
	refused := 0
	for range 2 { // links of one source
		h := nw.hostile(r, nil)
		for i := range uint32(60) {
			h.Send(h.NewID(i), cell.CreateDir, nonce)
			c, err := h.Next(patience)
			if err != nil {
				t.Fatal(err)
			}
			if c.Command == cell.Destroy {
				refused++
				if got := cell.Reason(c.Body[0]); got != cell.ReasonResource {
					t.Fatalf("destroyed with %v", got)
				}
			}
		}
	}
	if refused < 20 || refused > 30 { // 90 at once, 3 more a second
		t.Errorf("%d of 120 circuits refused", refused)
	}
	if n := r.Status().Refused["circuits of an address"]; n != uint64(refused) {
		t.Errorf("%d refusals counted", n)
	}
}

// A RELAY cell with something that is no message of a client ends that circuit. The
// operator sees how often the protocol was broken.
func TestNoiseOnACircuit(t *testing.T) {
	nw := newNet(t, 1, options{})
	h := nw.hostile(nw.relays[0], nil)
	nonce := make([]byte, cell.DirNonceSize)
	h.Send(h.NewID(1), cell.CreateDir, nonce)
	h.Expect(h.NewID(1), cell.CreatedDir)
	h.Send(h.NewID(1), cell.Relay, []byte("noise"))
	if got := h.ExpectDestroy(h.NewID(1)); got != cell.ReasonProtocol {
		t.Errorf("destroyed with %v", got)
	}
	h.Alive()
	nw.waitFor("the end of the circuit", func() bool { return nw.relays[0].Status().Circuits <= 1 })
	h.Send(0, cell.Relay, nil) // this ends the link
	nw.waitFor("the counts", func() bool {
		refused := nw.relays[0].Status().Refused
		return refused["protocol"] == 1 && refused["link protocol"] == 1
	})
}
