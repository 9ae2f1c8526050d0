package link

import (
	"math/bits"
	"net"
	"time"

	"tunic/cell"
	"tunic/cell/socket"
)

const ( // our choice; TestQuietCircuitOnASlowLink
	// recordTime is how long a record may keep a slow link busy: a quiet circuit's cell
	// waits for the one that is being written.
	recordTime = 2 * time.Millisecond
	// unsentTime is how long what the kernel holds unsent may: it also has to last until
	// the writer has had its turn on a busy machine. Where it does not, TCP takes the
	// link for one that is not used, and BBR never learns its rate.
	unsentTime = 8 * time.Millisecond
	// paceWindow is how long a link must have had something to send without a pause before
	// its rate is known.
	paceWindow  = 50 * time.Millisecond
	leastUnsent = 8 << 10   // bytes: on a link of 1 MB/s and less
	mostUnsent  = 256 << 10 // bytes: on one of 32 MB/s and more
	leastCells  = 4         // in a record that is cut short: tag and length are then 1 % of it
)

// A pace is how fast a link takes what it is given while there is always more. What
// is sealed, or with the kernel, is out of the scheduler's hands: on a slow link that
// is kept to about 10 ms. It belongs to whose turn to write it is.
type pace struct {
	since  time.Time // when the present stretch without a pause began; zero: there is none
	bytes  int       // written since then
	unsent int       // what the kernel may hold unsent
	cells  int       // the most that are written at a time
}

// start sets what holds before anything is known.
func (p *pace) start(conn net.Conn) {
	p.unsent, p.cells = unsentBytes, cell.RecordCells
	limitUnsent(conn, p.unsent)
}

// wrote notes that n bytes were taken. now is when they were offered.
func (p *pace) wrote(conn net.Conn, n int, now time.Time) {
	if p.since.IsZero() {
		p.since, p.bytes = now, 0
		return // what the kernel took at once says nothing
	}
	p.bytes += n
	if passed := now.Sub(p.since); passed >= paceWindow {
		p.adjust(conn, float64(p.bytes)/passed.Seconds())
		p.since, p.bytes = now, 0
	}
}

// flowed notes that n bytes were taken at once: the link is not slow any more, if that
// was all that one record may hold.
func (p *pace) flowed(n int) {
	if n > p.cells*cell.Size {
		p.cells = max(p.cells, min(2*p.cells, cell.RecordCells))
	}
}

// rest notes that there is nothing to write.
func (p *pace) rest() { p.since = time.Time{} }

// adjust sets both limits for a link of rate bytes per second. The kernel's is a power
// of two, so that it is set seldom.
func (p *pace) adjust(conn net.Conn, rate float64) {
	p.cells = max(leastCells, int(min(rate*recordTime.Seconds()/cell.Size, writeCells)))
	if p.cells > cell.RecordCells {
		p.cells -= p.cells % cell.RecordCells // whole records
	}
	unsent := int(min(rate*unsentTime.Seconds(), mostUnsent))
	unsent = max(leastUnsent, 1<<(bits.Len(uint(unsent|1))-1))
	if unsent != p.unsent {
		p.unsent = unsent
		limitUnsent(conn, unsent)
	}
}

// limitUnsent bounds what the system holds of ours without having sent it, so that
// cells wait where the scheduler can still choose among them. A transport's own
// connections do so by a method; TCP has TCP_NOTSENT_LOWAT on some systems.
func limitUnsent(conn net.Conn, bytes int) {
	if c, ok := conn.(interface{ LimitUnsent(bytes int) }); ok {
		c.LimitUnsent(bytes)
		return
	}
	socket.LimitUnsent(conn, bytes)
}
