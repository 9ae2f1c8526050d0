package link_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell/link"
	"tunic/cell/link/linktest"
	"tunic/cell/work"
	"tunic/directory/keys"
)

// A relay that linked before a consensus listed it leaves the strangers' share when
// one does, and gives its place there to somebody else; a relay that no consensus
// lists any more goes back.
func TestReclassify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := linktest.NewRelay()
		var listed atomic.Bool
		r := newRig(t, func(c *link.Config) {
			c.MaxLinks = 3 // one of strangers
			c.Limits.IdleClient, c.Limits.IdleRelay = time.Minute, time.Hour
			c.Limits.SourceLinks = 1
			c.Classify = func(id keys.RelayID) work.Class {
				if listed.Load() && id == relay.ID {
					return work.Relay
				}
				return work.Stranger
			}
		})
		l := r.link(t, r.hostile(t, "10.1.2.3", linktest.Options{As: relay}))
		class := func() work.Class { _, c, _ := l.Peer(); return c }
		// Whoever finds no place is closed after the handshake, and counted.
		other := r.hostile(t, "10.1.2.4", linktest.Options{})
		synctest.Wait()
		if n := r.pool.Stats().OverLinks; class() != work.Stranger || n != 1 {
			t.Fatalf("a relay that is not listed is a %v, and %d others were refused, want 1", class(), n)
		}
		other.Conn.Close()
		listed.Store(true)
		r.pool.Reclassify()
		if class() != work.Relay {
			t.Fatalf("once listed it is a %v", class())
		}
		r.link(t, r.hostile(t, "10.1.2.3", linktest.Options{})) // its place, and its source's only one, are free
		time.Sleep(2 * time.Minute)
		if l.Err() != nil {
			t.Errorf("the link of a relay ended as a stranger's does: %v", l.Err())
		}
		listed.Store(false)
		r.pool.Reclassify()
		if class() != work.Stranger {
			t.Errorf("a relay that is left out is a %v", class())
		}
		time.Sleep(2 * time.Minute)
		if l.Err() == nil {
			t.Error("the idle link of a stranger is still open")
		}
	})
}
