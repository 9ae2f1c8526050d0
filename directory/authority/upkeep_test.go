package authority

import (
	"testing"
	"testing/synctest"
	"time"
)

// A relay whose descriptor was accepted sends it again when it is old, which may be
// hours away: a crash of all authorities must not cost the network its relays.
func TestDescriptorsAreSoonOnTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTestNet(t, 1)
		a := tn.start(0)
		defer tn.stopAll()
		r := tn.relays(1)[0]
		time.Sleep(saveSoon)
		synctest.Wait()
		after := testRegistry(tn.Network, time.Now()) // what a crash now would leave
		if skipped, err := a.store.loadRelays(after, time.Now()); err != nil || skipped != 0 {
			t.Fatalf("%d passed over (%v)", skipped, err)
		}
		if after.descriptor(r.Descriptor.ID) == nil {
			t.Error("the descriptor is not on the disk")
		}
	})
}
