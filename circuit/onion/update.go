package onion

import "sync"

const ( // fixed by docs/protocol.md, "Layers"; bytes of the stream
	renewalFrom = MessageSize + 16 // where the next KB ‖ KS begin: behind the nonce
	renewalEnd  = renewalFrom + 32
	// renewalStream is how much stream a renewal computes: whole strides of GCM.
	renewalStream = 640
)

// scratch holds what a renewal hands to GCM: the stream with GCM's tag, V.
type scratch struct {
	stream [renewalStream + 16]byte
	v      [16]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// update moves s on after a cell that this end originated or recognised: v is the
// tag under which its message was masked, next the 16 bytes of that stream behind
// the mask. Every 31st cell the keys are renewed too.
func (s *State) update(v, next [16]byte) {
	s.n = next
	s.count++
	if s.count < RenewalInterval {
		return
	}
	s.count = 0
	z := scratches.Get().(*scratch) // all zero
	z.v = v
	s.objects.gcm.Seal(z.stream[:0], z.v[:], z.stream[:renewalStream], nil)
	s.kb = [16]byte(z.stream[renewalFrom:])
	s.ks = [16]byte(z.stream[renewalFrom+16 : renewalEnd])
	*z = scratch{}
	scratches.Put(z)
	s.objects = newObjects(&s.kb, &s.ks)
}
