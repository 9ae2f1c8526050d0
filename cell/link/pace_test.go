package link

import (
	"net"
	"testing"
	"time"

	"tunic/cell"
)

// limited is a connection that remembers its limit.
type limited struct {
	net.Conn
	unsent int
}

func (l *limited) LimitUnsent(bytes int) { l.unsent = bytes }

// carry lets the pace see a link that takes rate bytes a second, without a pause.
func carry(p *pace, conn net.Conn, rate int, from time.Time, d time.Duration) time.Time {
	const step = time.Millisecond
	for end := from.Add(d); from.Before(end); from = from.Add(step) {
		p.wrote(conn, rate/int(time.Second/step), from)
	}
	return from
}

func TestPaceFollowsTheLink(t *testing.T) {
	conn := &limited{}
	var p pace
	p.start(conn)
	if p.cells != cell.RecordCells || conn.unsent != unsentBytes {
		t.Fatalf("at first %d cells, %d bytes", p.cells, conn.unsent)
	}
	now := time.Unix(1e9, 0)
	for _, c := range []struct{ rate, cells, unsent int }{
		{2_500_000, 9, 16 << 10},                 // 20 Mbit/s
		{125_000_000, writeCells, mostUnsent},    // 1 Gbit/s
		{12_500_000, cell.RecordCells, 64 << 10}, // 100 Mbit/s
		{100_000, leastCells, leastUnsent},       // less than a Mbit/s
		{12_500_000, cell.RecordCells, 64 << 10}, // 100 Mbit/s
		{1_000_000_000_000, writeCells, mostUnsent},
	} {
		now = carry(&p, conn, c.rate, now, 3*paceWindow)
		if p.cells != c.cells || conn.unsent != c.unsent {
			t.Errorf("at %d bytes a second %d cells, %d bytes; want %d and %d", c.rate, p.cells, conn.unsent, c.cells, c.unsent)
		}
	}
}

// A link that has been slow for a moment does not have short records for ever.
func TestPaceForgetsASlowMoment(t *testing.T) {
	conn := &limited{}
	var p pace
	p.start(conn)
	carry(&p, conn, 100_000, time.Unix(1e9, 0), 3*paceWindow)
	p.rest()
	p.flowed(cell.Size) // a quiet moment says nothing
	if p.cells != leastCells {
		t.Fatalf("%d cells, want %d", p.cells, leastCells)
	}
	for range 4 {
		p.flowed(p.cells*cell.Size + lengthSize + cellsTag)
	}
	if p.cells != cell.RecordCells {
		t.Errorf("%d cells, want %d", p.cells, cell.RecordCells)
	}
}

// What the kernel takes at once, however much, is not the link's rate.
func TestPaceIgnoresBursts(t *testing.T) {
	conn := &limited{}
	var p pace
	p.start(conn)
	now := time.Unix(1e9, 0)
	for range 10 {
		p.wrote(conn, 1000, now)
		p.rest()
		now = now.Add(time.Second)
	}
	if p.cells != cell.RecordCells || conn.unsent != unsentBytes {
		t.Errorf("%d cells, %d bytes after bursts", p.cells, conn.unsent)
	}
}
