package circuit

import (
	"bytes"
	"crypto/rand"
	"net"
	"testing"

	"tunic/cell"
	"tunic/circuit/congestion"
	"tunic/circuit/onion"
)

// The link's reader still hands cells over while somebody closes the circuit. A
// DATA cell that a SENDME must answer is lost then; those behind it must be too.
func TestNoDataBehindAHoleWhileTheCircuitCloses(t *testing.T) {
	var key onion.Key
	rand.Read(key[:])
	relay, client := onion.NewState(&key), onion.NewState(&key)
	c := &Circuit{}
	c.end.init(c, atClient, congestion.Default())
	defer c.rest.stop()
	c.in.hops = []*onion.State{&client}
	s := newStream(&c.end)
	s.circ, s.rx.connected = c, true
	if err := c.table.choose(entry{stream: s}, func(id cell.StreamID) { s.id = id }); err != nil {
		t.Fatal(err)
	}
	send := func(i int) {
		slot := cell.NewSlot()
		defer slot.Release()
		cell.PutMessage(slot.Message(), cell.Data, s.id, []byte{byte(i)})
		relay.RelayOriginate(byte(cell.Relay), slot.Body())
		(*fromGuard)(c).Receive(nil, cell.Relay, slot.Body(), nil)
	}
	marked := congestion.Default().SendmeInc
	var want []byte
	for i := 1; i < marked; i++ {
		send(i)
		want = append(want, byte(i))
	}
	if n := c.Heard(); n != uint64(len(want)) {
		t.Errorf("heard %d cells, want %d", n, len(want))
	}
	// How far destroy has come when another goroutine stands between its steps.
	c.dead.Store(true)
	c.tx.mu.Lock()
	c.tx.stop(net.ErrClosed)
	c.tx.mu.Unlock()
	for i := marked; i < marked+5; i++ {
		send(i)
	}
	got := make([]byte, 2*marked)
	n, err := s.Read(got)
	if err != nil || !bytes.Equal(got[:n], want) {
		t.Errorf("read %d, %v; want %d", got[:n], err, want)
	}
}
