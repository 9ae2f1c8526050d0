package linktest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"tunic/cell"
)

// NewID returns a circuit id of this side's half, for tests that need a few.
func (h *Hostile) NewID(n uint32) cell.CircuitID {
	return cell.CircuitID(n + 1).WithInitiator(h.initiator)
}

// Send sends one record of one cell.
func (h *Hostile) Send(id cell.CircuitID, cmd cell.Command, body []byte) {
	h.t.Helper()
	h.SendCells(Cell{id, cmd, body})
}

// SendCells sends one record of up to 31 cells.
func (h *Hostile) SendCells(all ...Cell) {
	h.t.Helper()
	h.SendRaw(h.Record(all...))
}

// Record seals a record without sending it. Records count: each that is made must
// be sent, in order, for the next to be understood.
func (h *Hostile) Record(all ...Cell) []byte { return h.send.seal(plain(all)) }

// RecordOf seals a record with any plaintext, of any length.
func (h *Hostile) RecordOf(plain []byte) []byte { return h.send.seal(plain) }

// Lie returns a sealed record with another length in front, as masked as the right
// one was.
func Lie(rec []byte, length int) []byte {
	lie := bytes.Clone(rec)
	mask := binary.BigEndian.Uint16(rec) ^ uint16(len(rec)-2)
	binary.BigEndian.PutUint16(lie, mask^uint16(length))
	return lie
}

// SendRaw writes bytes as they are.
func (h *Hostile) SendRaw(b []byte) {
	h.t.Helper()
	h.Conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := h.Conn.Write(b); err != nil {
		h.t.Fatalf("send: %v", err)
	}
}

// SendSlowly writes bytes one by one, each pause after the other.
func (h *Hostile) SendSlowly(b []byte, pause time.Duration) error {
	h.Conn.SetWriteDeadline(time.Time{})
	return WriteSlowly(h.Conn, b, pause)
}

// WriteSlowly writes bytes one by one, each pause after the one before.
func WriteSlowly(conn net.Conn, b []byte, pause time.Duration) error {
	for i := range b {
		if _, err := conn.Write(b[i : i+1]); err != nil {
			return err
		}
		time.Sleep(pause)
	}
	return nil
}

// Next returns the next cell that is not PADDING, or an error when none comes
// within a duration.
func (h *Hostile) Next(within time.Duration) (Cell, error) {
	return h.next(within, func(c Cell) bool { return c.Command != cell.Padding })
}

// NextAny is Next that returns PADDING too.
func (h *Hostile) NextAny(within time.Duration) (Cell, error) {
	return h.next(within, func(Cell) bool { return true })
}

func (h *Hostile) next(within time.Duration, wanted func(Cell) bool) (Cell, error) {
	h.Conn.SetReadDeadline(time.Now().Add(within))
	for {
		for len(h.waiting) > 0 {
			c := h.waiting[0]
			h.waiting = h.waiting[1:]
			if wanted(c) {
				return c, nil
			}
		}
		b, err := h.recv.open(h.Conn)
		if err != nil {
			return Cell{}, err
		}
		h.waiting = cells(b)
	}
}

// NextRecord returns the cells of the next record, whatever they are.
func (h *Hostile) NextRecord(within time.Duration) ([]Cell, error) {
	h.Conn.SetReadDeadline(time.Now().Add(within))
	b, err := h.recv.open(h.Conn)
	return cells(b), err
}

// Expect returns the body of the next cell that is not PADDING, which must be that
// command on that circuit.
func (h *Hostile) Expect(id cell.CircuitID, cmd cell.Command) []byte {
	h.t.Helper()
	c, err := h.Next(patience)
	if err != nil {
		h.t.Fatalf("waiting for %v: %v", Cell{ID: id, Command: cmd}, err)
	}
	if c.ID != id || c.Command != cmd {
		h.t.Fatalf("got %v, want %v", c, Cell{ID: id, Command: cmd})
	}
	return c.Body
}

// ExpectDestroy expects a DESTROY of a circuit and returns its reason.
func (h *Hostile) ExpectDestroy(id cell.CircuitID) cell.Reason {
	h.t.Helper()
	return cell.Reason(h.Expect(id, cell.Destroy)[0])
}

// ExpectClosed fails the test unless the peer closes the connection within a
// duration. Cells that come before that are skipped.
func (h *Hostile) ExpectClosed(within time.Duration) {
	h.t.Helper()
	if err := ReadToEnd(h.Conn, within); err != nil {
		h.t.Fatalf("connection not closed within %v", within)
	}
}

// ReadToEnd reads until the peer closes or resets a connection; the error says that
// it did not within a duration.
func ReadToEnd(conn net.Conn, within time.Duration) error {
	conn.SetReadDeadline(time.Now().Add(within))
	_, err := io.Copy(io.Discard, conn)
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return err
	}
	return nil // EOF, or a reset
}

// Alive fails the test unless the peer still serves the link: it sends a CREATE_DIR
// for a new circuit and waits for any answer on that. Cells of other circuits that
// come before it are kept for Next.
func (h *Hostile) Alive() {
	h.t.Helper()
	id := cell.CircuitID(aliveIDs + h.alive).WithInitiator(h.initiator)
	h.alive++
	h.Send(id, cell.CreateDir, make([]byte, cell.DirNonceSize))
	var kept []Cell
	for {
		c, err := h.Next(patience)
		if err != nil {
			h.t.Fatalf("the link is gone: %v", err)
		}
		if c.ID == id {
			h.waiting = append(kept, h.waiting...)
			return
		}
		kept = append(kept, c)
	}
}

// aliveIDs is where the ids of Alive begin, far from those of tests.
const aliveIDs = 1 << 30

// Close closes the connection.
func (h *Hostile) Close() { h.Conn.Close() }
