package link

import (
	"net"
	"testing"
	"time"

	"tunic/cell/work"
)

// A sink is a connection that takes everything.
type sink struct {
	net.Conn
	writes int
}

func (s *sink) Write(b []byte) (int, error)      { s.writes++; return len(b), nil }
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

// PADDING that is due costs one turn of the writer: none is asked for at once after it.
func TestPaddingCostsOneTurn(t *testing.T) {
	for name, pad := range map[string]Padding{"padding": {Low: time.Minute, High: time.Minute}, "keepalive": {}} {
		s, _ := ends(t)
		conn := new(sink)
		l := newLink(NewPool(Config{}), &handshaken{conn: conn, in: new(inbound), out: s, established: established{pad: pad}}, work.Stranger)
		defer l.out.timer.Stop()
		l.out.lastSent = time.Now().Add(-time.Hour)
		over, err := l.writeTurn()
		if over || err != nil || conn.writes != 1 {
			t.Fatalf("%s: over %v, %v, after %d writes", name, over, err, conn.writes)
		}
		if in := time.Until(l.out.timerAt); in < 30*time.Second {
			t.Errorf("%s: the next turn is in %v", name, in)
		}
	}
}
