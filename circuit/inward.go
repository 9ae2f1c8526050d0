package circuit

import (
	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit/onion"
)

// fromGuard is a client's circuit as its link knows it.
type fromGuard Circuit

// Receive takes a cell from the first hop. It runs on the link's reader. While the
// circuit is being torn down it takes none: data whose SENDME cannot be sent any
// more is dropped, and the application must not read what comes behind the hole.
func (f *fromGuard) Receive(_ *link.Circuit, cmd cell.Command, body []byte, b *link.Batch) {
	c := (*Circuit)(f)
	if c.dead.Load() {
		return
	}
	var err error
	switch cmd {
	case cell.Relay:
		err = c.receiveInward(cmd, body, b)
	case cell.Created:
		err = c.setup.fragment(onCreated, body)
	case cell.CreatedDir:
		err = c.setup.fragment(onCreatedDir, body)
	case cell.Destroy:
		err = c.receiveDestroy(body)
	default:
		err = violation("unexpected " + cmd.String())
	}
	if err != nil {
		c.fault(err)
	}
}

// LinkClosed says that the link is gone.
func (f *fromGuard) LinkClosed(*link.Circuit) {
	(*Circuit)(f).destroy(&DestroyError{Hop: -1, Reason: cell.ReasonLinkClosed})
}

// receiveDestroy takes the first hop's word that the circuit is gone: its own, or
// of somebody beyond.
func (c *Circuit) receiveDestroy(body []byte) error {
	r, err := cell.ParseDestroy(body)
	if err != nil {
		return err
	}
	e := &DestroyError{Reason: r}
	if r == cell.ReasonDestroyed {
		e.Hop = 1
	}
	c.destroy(e)
	return nil
}

// receiveInward takes the layers off a cell and handles its message, which only
// the last hop may send.
func (c *Circuit) receiveInward(cmd cell.Command, body []byte, b *link.Batch) error {
	c.rest.touch()
	s := cell.NewSlot()
	defer s.Release()
	copy(s.Body(), body)
	last, tag, err := c.open(cmd, s.Body())
	if err != nil {
		return err
	}
	m, err := cell.ParseMessage(s.Message())
	if err != nil {
		return err
	}
	if !last {
		return violation(m.Command.String() + " of a hop that is not the last")
	}
	c.heard.Add(1)
	return c.receiveReply(m, tag, b)
}

// open takes the layers off a cell until a hop's is recognised, and reports
// whether it is the last hop's.
func (c *Circuit) open(cmd cell.Command, body []byte) (last bool, tag onion.Tag, err error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	for i, h := range c.in.hops {
		mine, tag := h.ClientInward(byte(cmd), body)
		if mine {
			return i == len(c.in.hops)-1, tag, nil
		}
	}
	return false, onion.Tag{}, violation("cell that no layer recognises")
}

// receiveReply handles a recognised message of the last hop.
func (c *Circuit) receiveReply(m cell.Message, tag onion.Tag, b *link.Batch) error {
	switch m.Command {
	case cell.Extended:
		return c.setup.fragment(onExtended, m.Data)
	case cell.Connected:
		return c.toStream(m, b)
	case cell.Resolved:
		return c.receiveResolved(m)
	}
	return c.receive(m, tag, b)
}

func (c *Circuit) receiveResolved(m cell.Message) error {
	r, err := cell.ParseResolved(m.Data)
	if err != nil {
		return err
	}
	l := c.table.takeLookup(m.Stream)
	if l == nil {
		return violation("RESOLVED unasked for")
	}
	l.answer(r)
	return nil
}

// sleep drops the key objects of both directions, one after the other.
func (c *Circuit) sleep() {
	c.tx.mu.Lock()
	c.tx.sleep()
	c.tx.mu.Unlock()
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	for _, h := range c.in.hops {
		h.Sleep()
	}
}
