package link

import (
	"errors"
	"fmt"
	"io"
	"time"

	"tunic/cell"
)

// readLoop reads records until the link ends; then it tells the circuits and the
// handler. It is started by newLink and ended by fail, by Close, or by the peer.
func (l *Link) readLoop() {
	err := l.readRecords()
	if errors.Is(err, errPoked) {
		l.tellClosed()
		l.linger()
	} else {
		if errors.Is(err, cell.ErrMalformed) {
			l.pool.counts.malformed.Add(1)
		}
		l.fail(err)
		l.tellClosed()
	}
	l.in.release()
	l.leaveLoop()
}

// readRecords handles one record after the other. Whoever has to know of them is
// woken before it waits, and every few reads.
func (l *Link) readRecords() error {
	defer l.batch.Flush()
	for i := 1; ; i++ {
		if err := l.handleRead(); err != nil {
			return err
		}
		if i%readsPerFlush == 0 {
			l.batch.Flush()
		}
		err := l.in.fill()
		if errors.Is(err, io.EOF) {
			return ErrPeerClosed
		}
		if err != nil {
			return err
		}
	}
}

// handleRead handles the records that have been read. Whatever that caused to be
// queued elsewhere is written once, at the end.
func (l *Link) handleRead() error {
	n, err := l.handleRecords()
	l.batch.write()
	if err != nil || n == 0 {
		return err
	}
	l.read.Add(uint64(n))
	l.pool.counts.read.Add(uint64(n))
	lim := l.pool.cfg.ReadLimit
	if lim == nil || lim.AllowN(time.Now(), n) {
		return l.rest()
	}
	l.batch.Flush()
	if err := take(l.ctx, lim, n); err != nil {
		return ErrClosed // the only way: ctx has ended
	}
	return l.rest()
}

// rest waits as long as the link has been slowed; one that closes waits no longer.
func (l *Link) rest() error {
	if l.slowed.Load() <= 0 {
		return nil
	}
	d := l.slowed.Swap(0)
	l.batch.Flush()
	t := time.NewTimer(min(time.Duration(d), maxSlow))
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.done: // what comes next says how it ended
	}
	return nil
}

// handleRecords does so without the end, and returns how many bytes the records had.
func (l *Link) handleRecords() (n int, err error) {
	for {
		cells, err := l.in.take()
		if cells == nil || err != nil {
			return n, err
		}
		n += lengthSize + len(cells) + cellsTag
		if err := l.handle(cells); err != nil {
			return n, err
		}
	}
}

// handle hands the cells of a record to their circuits.
func (l *Link) handle(cells []byte) error {
	var last *Circuit // most records are of few circuits
	for len(cells) > 0 {
		c := cells[:cell.Size:cell.Size]
		cells = cells[cell.Size:]
		h := cell.ParseHeader((*[cell.Size]byte)(c))
		body := c[cell.HeaderSize:]
		switch {
		case !h.Command.Known():
			l.pool.counts.unknown.Add(1)
			continue
		case h.Command.OfLink() != (h.Circuit == 0):
			return malformed(h, "with the wrong kind of circuit id")
		case h.Circuit == 0:
			if err := l.handleLinkCell(h, body); err != nil {
				return err
			}
			continue
		}
		if last == nil || last.id != h.Circuit || last.left.Load() {
			last = l.lookup(h.Circuit)
		}
		if last == nil {
			if err := l.handleUnclaimed(h, body); err != nil {
				return err
			}
			continue
		}
		if h.Command == cell.Destroy {
			last.Forget()
		}
		last.receiver.Receive(last, h.Command, body, &l.batch)
	}
	return nil
}

// handleUnclaimed handles a cell for an id without a circuit.
func (l *Link) handleUnclaimed(h cell.Header, body []byte) error {
	switch h.Command {
	case cell.Create, cell.CreateDir:
		if !l.peersHalf(h.Circuit) {
			return malformed(h, "with a circuit id of the wrong half")
		}
		if l.pool.cfg.Handler == nil {
			l.Refuse(h.Circuit, cell.ReasonRefused)
			return nil
		}
		l.pool.cfg.Handler.NewCircuit(l, h.Circuit, h.Command, body, &l.batch)
	case cell.Destroy:
		if !l.peersHalf(h.Circuit) {
			l.pool.counts.stray.Add(1)
			return nil
		}
		l.destroyedEarly(h.Circuit)
		if l.pool.cfg.Handler != nil {
			l.pool.cfg.Handler.NewCircuit(l, h.Circuit, h.Command, body, &l.batch)
		}
	default: // the circuit was destroyed while the cell was under way
		l.pool.counts.stray.Add(1)
	}
	return nil
}

// handleLinkCell handles a cell of the link's own, after the first records.
func (l *Link) handleLinkCell(h cell.Header, body []byte) error {
	switch h.Command {
	case cell.Padding:
		return nil
	case cell.NegotiatePadding:
		if l.dialled || l.proven {
			return malformed(h, "not from a client")
		}
		p, err := parsePadding(body)
		if err != nil {
			return fmt.Errorf("%v: %w", h.Command, err)
		}
		l.padding.Store(l.pool.cfg.Padding.clamp(p).pack())
		l.wakeWriter()
		return nil
	}
	return malformed(h, "after the first record")
}

// tellClosed tells the circuits and the handler that the link has ended. What the
// circuits have queued stays for the writer if the link is being flushed.
func (l *Link) tellClosed() {
	flush := l.isFlushing()
	for _, c := range l.removeAll() {
		if flush {
			c.close()
		} else {
			c.discard()
		}
		c.receiver.LinkClosed(c)
	}
	if h := l.pool.cfg.Handler; h != nil {
		h.LinkClosed(l)
	}
}
