//go:build !race

package onion

import "testing"

func TestLayersDoNotAllocate(t *testing.T) {
	k := Key{5}
	body := newBody(nil)
	for name, op := range layerOps {
		s := NewState(&k)
		op(&s, body) // makes the objects
		if n := testing.AllocsPerRun(RenewalInterval-2, func() { op(&s, body) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func TestRenewalAllocatesOnlyKeyObjects(t *testing.T) {
	s := NewState(&Key{5})
	body := newBody(nil)
	objects := testing.AllocsPerRun(10, func() { _ = newObjects(&s.kb, &s.ks) })
	got := testing.AllocsPerRun(10, func() {
		for range RenewalInterval {
			s.RelayOriginate(3, body)
		}
	})
	if got > objects+1 { // one more: a pool may be emptied at any time
		t.Errorf("%v allocations in %d cells, want the %v of one set of objects", got, RenewalInterval, objects)
	}
}
