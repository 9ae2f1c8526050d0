package bench

import (
	"context"
	"fmt"

	"tunic/cell"
	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

// openAtOnce is how many records are opened in one batch, our choice: 1 MiB of
// them, which a cache holds as it does what has just come from the kernel.
const openAtOnce = 64

// An agreement is a hybrid handshake with fresh keys, up to its first message.
type agreement struct {
	prologue []byte
	key      *keys.LinkKey
	client   *hybrid.Initiator
	message1 []byte
}

// payload1 and payload2 are what the messages carry beside the handshake, in bytes: as on a link.
const payload1, payload2 = 48, 64

func newAgreement() (*agreement, error) {
	a := &agreement{key: keys.GenerateLink()}
	a.prologue = keys.LinkPrologue(1, network, keys.GenerateIdentity().Public())
	var err error
	if a.client, err = hybrid.NewInitiator(a.prologue, a.key.Public()); err != nil {
		return nil, err
	}
	a.message1, err = a.client.Message1(nil, make([]byte, payload1))
	return a, err
}

// network is the digest of a network that there is not.
var network = [32]byte{'b', 'e', 'n', 'c', 'h'}

// respond is the relay's part.
func (a *agreement) respond() (message2 []byte, s *hybrid.Session, err error) {
	m, err := hybrid.NewResponder(a.prologue, a.key.ECDH())
	if err != nil {
		return nil, nil, err
	}
	if _, err := m.ReadMessage1(a.message1); err != nil {
		return nil, nil, err
	}
	return m.Message2(nil, make([]byte, payload2))
}

// newCiphers returns both ends of one direction of a link.
func newCiphers() (seal, open *hybrid.Cipher, err error) {
	a, err := newAgreement()
	if err != nil {
		return nil, nil, err
	}
	message2, theirs, err := a.respond()
	if err != nil {
		return nil, nil, err
	}
	_, ours, err := a.client.ReadMessage2(message2)
	if err != nil {
		return nil, nil, err
	}
	return ours.Send, theirs.Recv, nil
}

func recordSteps(r *run) []step {
	return []step{
		{"sealed, 31 cells", r.Time, func(ctx context.Context) error { return r.sealRecords(ctx, cell.RecordCells) }},
		{"sealed, 1 cell", r.Time, func(ctx context.Context) error { return r.sealRecords(ctx, 1) }},
		{"opened, 31 cells", 2 * r.Time, func(ctx context.Context) error { return r.openRecords(ctx, cell.RecordCells) }},
	}
}

// addRecord adds the figures of a record of so many cells.
func (r *run) addRecord(what string, cells int, c cost) {
	name := fmt.Sprintf("%s, %d cells", what, cells)
	if cells == 1 {
		name = what + ", 1 cell"
	}
	r.add("records", name, figure{usEach, c.us()}, figure{nsPerCell, c.ns() / float64(cells)},
		figure{mibPerSecond, c.mibPerSecond(cells * cell.Size)})
}

func (r *run) sealRecords(ctx context.Context, cells int) error {
	seal, _, err := newCiphers()
	if err != nil {
		return err
	}
	buf := make([]byte, cells*cell.Size, cells*cell.Size+hybrid.TagSize)
	c, err := r.each(ctx, loop{run: func(n int) error {
		for range n {
			if _, err := seal.Seal(buf[:0], buf); err != nil {
				return err
			}
		}
		return nil
	}})
	if err == nil {
		r.addRecord("sealed", cells, c)
	}
	return err
}

func (r *run) openRecords(ctx context.Context, cells int) error {
	seal, open, err := newCiphers()
	if err != nil {
		return err
	}
	var records [openAtOnce][]byte
	for i := range records {
		records[i] = make([]byte, cells*cell.Size, cells*cell.Size+hybrid.TagSize)
	}
	c, err := r.each(ctx, loop{most: openAtOnce,
		prepare: func(n int) (err error) {
			for i := range n {
				plain := records[i][:cells*cell.Size]
				if records[i], err = seal.Seal(plain[:0], plain); err != nil {
					return err
				}
			}
			return nil
		},
		run: func(n int) error {
			for _, b := range records[:n] {
				if _, err := open.Open(b[:0], b); err != nil {
					return err
				}
			}
			return nil
		}})
	if err == nil {
		r.addRecord("opened", cells, c)
	}
	return err
}
