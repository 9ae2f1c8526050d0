package bench

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tunic/cell"
)

// What a GiB of a stream's bytes costs at least, by docs/protocol.md: one direction
// through three hops.
const (
	passes      = 6 // of a layer over a cell: three at the client, one at each relay
	recordTimes = 3 // links: a record is sealed and opened once on each
	linkHops    = 3 // TCP connections that carry records
	bareHops    = 1 // and one more that carries the bytes: half at the exit, half at the client

	hashed     = 512                                  // bytes under one layer
	recordSize = cell.RecordCells * cell.Size         // bytes that one AEAD covers
	wireSize   = 2 + recordSize + 16                  // with length and tag
	payload    = cell.RecordCells * cell.MaxData      // bytes of streams in a full record
	cellsInGiB = float64(gib) / float64(cell.MaxData) // DATA cells
	wireFactor = float64(wireSize) / float64(payload) // bytes on a link for each byte of a stream
)

// A hop is a way to send over TCP.
type hop struct {
	name  string
	chunk int   // bytes written at once, and asked for at once
	ahead int64 // bytes that the writer may be ahead of the reader; 0 for all that the kernel takes
}

// hops are what is measured. The last is what a hop costs where every record has to
// wake its reader.
func hops() []hop {
	return []hop{
		{name: "one TCP hop, 16 KiB at once", chunk: 16 << 10},
		{name: "one TCP hop, 64 KiB at once", chunk: 64 << 10},
		{name: "one TCP hop, 16 KiB and waited for", chunk: 16 << 10, ahead: 16 << 10},
	}
}

// The two sums: with TCP the cheapest way, which nothing can be below, and with
// each record waited for, which is what a stream costs whose nodes keep up with it.
const (
	floorSum       = "sum, TCP the cheapest way"
	floorWaitedSum = "sum, each record waited for"
)

// A floor adds up, in processor seconds for a GiB, what Go's primitives and the
// kernel cost for the work that no implementation in Go of this protocol can leave
// out. It uses none of our code.
type floor struct {
	run            *run
	crypto         float64
	cheapest, slow float64 // of one TCP hop
}

func floorSteps(r *run) []step {
	f := &floor{run: r}
	all := []step{{"layers", r.Time, f.layers}, {"records", 2 * r.Time, f.records}}
	for _, h := range hops() {
		all = append(all, step{h.name, r.Time * 5 / 4, func(ctx context.Context) error { return f.tcp(ctx, h) }})
	}
	return append(all, step{"sums", 0, f.sum})
}

// layers is the AES-GCM calls of a layer: the hash over 512 bytes of additional
// data, the stream over as many, one block.
func (f *floor) layers(ctx context.Context) error {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		return err
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, 16)
	if err != nil {
		return err
	}
	nonce, tag := make([]byte, 16), make([]byte, 16)
	body := make([]byte, hashed, hashed+16)
	c, err := f.run.each(ctx, loop{run: func(n int) error {
		for range n {
			gcm.Seal(tag[:0], nonce, nil, body)
			block.Encrypt(tag, tag)
			gcm.Seal(body[:0], tag, body, nil)
		}
		return nil
	}})
	if err != nil {
		return err
	}
	total := passes * c.ns() * cellsInGiB / 1e9
	f.crypto += total
	f.run.add(floorName, "six layers of each cell", figure{nsPerCell, passes * c.ns()}, figure{cpuPerGiB, total})
	return nil
}

// records is AES-256-GCM over a record: sealed three times, opened three times.
func (f *floor) records(ctx context.Context) error {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	nonce, buf := make([]byte, gcm.NonceSize()), make([]byte, recordSize, recordSize+gcm.Overhead())
	seal, err := f.run.each(ctx, loop{run: func(n int) error {
		for range n {
			gcm.Seal(buf[:0], nonce, buf, nil)
		}
		return nil
	}})
	if err != nil {
		return err
	}
	sealed := gcm.Seal(nil, nonce, buf, nil)
	open, err := f.run.each(ctx, loop{run: func(n int) error {
		for range n {
			if _, err := gcm.Open(buf[:0], nonce, sealed, nil); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return err
	}
	ns := recordTimes * (seal.ns() + open.ns()) / cell.RecordCells
	total := ns * cellsInGiB / 1e9
	f.crypto += total
	f.run.add(floorName, "records, three sealed and three opened", figure{nsPerCell, ns}, figure{cpuPerGiB, total})
	return nil
}

// tcp is what the kernel and Go's network poller take for both ends of a TCP
// connection. A node has one end of each of its connections: four receive and four
// send between the destination and the application, as much as four hops.
func (f *floor) tcp(ctx context.Context, h hop) error {
	from, to, err := connection()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var got atomic.Int64
	failed, read := make(chan struct{}), make(chan struct{}, 1)
	wg.Go(func() { // ends when the connection is closed
		h.write(from, &got, read)
	})
	wg.Go(func() { // likewise
		defer close(failed)
		h.read(to, &got, read)
	})
	w, err := f.run.watch(ctx, failed, func(context.Context) (time.Duration, error) { return ownCPU(), nil }, got.Load)
	from.Close()
	to.Close()
	wg.Wait()
	if err != nil {
		return err
	}
	one := w.cpuPerGiB()
	switch {
	case h.ahead > 0:
		f.slow = one
	case f.cheapest == 0 || one < f.cheapest:
		f.cheapest = one
	}
	f.run.add(floorName, h.name, figure{cpuPerGiB, one})
	return nil
}

// write writes until the connection is closed.
func (h *hop) write(c net.Conn, got *atomic.Int64, read <-chan struct{}) {
	b := make([]byte, h.chunk)
	for sent := int64(0); ; sent += int64(len(b)) {
		for h.ahead > 0 && sent-got.Load() >= h.ahead {
			if _, ok := <-read; !ok {
				return
			}
		}
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// read reads until the connection is closed.
func (h *hop) read(c net.Conn, got *atomic.Int64, read chan<- struct{}) {
	defer close(read)
	for b := make([]byte, h.chunk); ; {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		got.Add(int64(n))
		if h.ahead > 0 {
			select {
			case read <- struct{}{}:
			default: // it has been told
			}
		}
	}
}

// connection returns both ends of a TCP connection over loopback.
func connection() (from, to net.Conn, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	if from, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	if to, err = ln.Accept(); err != nil {
		from.Close()
		return nil, nil, err
	}
	return from, to, nil
}

// sum adds up. Three of the four hops carry records, which are longer than what is
// in them.
func (f *floor) sum(context.Context) error {
	for _, s := range []struct {
		name string
		hop  float64
	}{{floorSum, f.cheapest}, {floorWaitedSum, f.slow}} {
		total := f.crypto + s.hop*(linkHops*wireFactor+bareHops)
		f.run.add(floorName, s.name, figure{cpuPerGiB, total}, figure{mibPerSecond, f.run.machineRate(total)})
	}
	return nil
}

// machineRate returns how many MiB/s the whole machine can do of what costs that
// many processor seconds for a GiB.
func (r *run) machineRate(cpu float64) float64 {
	return float64(r.report.Machine.Cores) * gib / mib / cpu
}
