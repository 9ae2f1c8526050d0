package keys

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// story is half a year of a relay's keys, with the time and what happens.
type story struct {
	t    rapid.TB
	disk *faulty
	now  time.Time
	set  *Set

	id        RelayID
	published map[CircuitKeyID]time.Time // when others were told
	successor map[CircuitKeyID]time.Time // when others were told a newer one
}

func newStory(t rapid.TB, disk *faulty) *story {
	return &story{t: t, disk: disk, now: testTime, published: map[CircuitKeyID]time.Time{}, successor: map[CircuitKeyID]time.Time{}}
}

// arm lets the disk fail at its n-th call from now on.
func (s *story) arm(n int, how fault) { s.disk.at, s.disk.how = s.disk.calls+n, how }

// start is a process that begins, after a crash too. If the disk fails, it is
// started once more.
func (s *story) start() {
	s.disk = s.disk.reboot()
	set, err := create(s.disk, false, s.now)
	if errors.Is(err, errFault) {
		s.disk = s.disk.reboot()
		set, err = create(s.disk, false, s.now)
	}
	if err != nil {
		s.t.Fatalf("start: %v", err)
	}
	if s.id != (RelayID{}) && set.ID() != s.id {
		s.t.Fatal("the identity has changed")
	}
	s.set, s.id = set, set.ID()
}

// ready starts a process if the last one died.
func (s *story) ready() {
	if s.set == nil || s.disk.dead {
		s.start()
	}
}

// publish tells others the newest keys, then the set that this is done.
func (s *story) publish() {
	s.tell()
	link, _ := s.set.Link()
	circuit, _ := s.set.Circuit()
	if err := s.set.Published(link, circuit, s.now); err != nil && !errors.Is(err, errFault) {
		s.t.Fatalf("published: %v", err)
	}
}

// tell only tells others: the process may die before it can note that.
func (s *story) tell() {
	s.ready()
	circuit, _ := s.set.Circuit()
	if _, ok := s.published[circuit.ID()]; !ok {
		for old := range s.published {
			if _, ok := s.successor[old]; !ok {
				s.successor[old] = s.now
			}
		}
		s.published[circuit.ID()] = s.now
	}
}

func (s *story) renew() {
	s.ready()
	if _, err := s.set.Renew(s.now); err != nil && !errors.Is(err, errFault) {
		s.t.Fatalf("renew: %v", err)
	}
}

// check holds what clients rely on: every key that they were told answers
// until one overlap after its successor was told.
func (s *story) check() {
	s.ready()
	for id := range s.published {
		end, replaced := s.successor[id]
		if k := s.set.CircuitKey(id); k == nil && (!replaced || s.now.Before(end.Add(circuitRotation.overlap))) {
			s.t.Fatalf("at day %v a key that clients use is gone", s.now.Sub(testTime)/day)
		}
	}
	if n := len(s.set.CircuitKeys()); n == 0 || n > 3 {
		s.t.Fatalf("%d circuit keys", n)
	}
	if n := len(s.set.LinkKeys()); n == 0 || n > 3 {
		s.t.Fatalf("%d link keys", n)
	}
}

// settle runs without faults until everything is done, and holds what must
// be true then: retired keys are gone from the set and from the disk.
func (s *story) settle() {
	s.disk.at = 0
	s.ready()
	s.renew()
	s.publish()
	s.now = s.now.Add(circuitRotation.overlap + linkRotation.overlap)
	s.renew() // may make new ones
	s.publish()
	s.now = s.now.Add(linkRotation.overlap)
	s.start()
	newest, _ := s.set.Circuit()
	for _, k := range s.set.CircuitKeys() {
		if told, ok := s.successor[k.ID()]; ok && k.Public() != newest && s.now.Sub(told) >= circuitRotation.overlap {
			s.t.Fatal("a retired key answers")
		}
	}
	names, _ := s.disk.list()
	if want := 2 + len(s.set.LinkKeys()) + len(s.set.CircuitKeys()); len(names) != want {
		s.t.Fatalf("%d files, want %d: %v", len(names), want, names)
	}
}

// run is a few weeks, half a year's pause, and some weeks more.
func (s *story) run() {
	s.start()
	for d := range 12 {
		s.renew()
		s.check()
		if d%2 == 0 {
			s.tell()
			s.start()
			s.publish()
		}
		s.check()
		s.now = s.now.Add(5 * day)
		if d == 6 {
			s.now = s.now.Add(150 * day)
		}
	}
}

// Each write and each erasure of this story fails once in each way: not done,
// done but reported as failed, and both with the process gone.
func TestSetSurvivesAFaultAtEveryCall(t *testing.T) {
	whole := newStory(t, newDisk())
	whole.run()
	total := whole.disk.calls
	if total < 30 {
		t.Fatalf("only %d calls", total)
	}
	for _, how := range faults {
		for at := 1; at <= total; at++ {
			t.Run(fmt.Sprintf("%v at %d", how, at), func(t *testing.T) {
				s := newStory(t, newDisk())
				s.arm(at, how)
				s.run()
				s.settle()
				checkChain(t, s.set, s.now)
			})
		}
	}
}

// The same in any order that rapid can think of.
func TestSetSurvivesAnyOrderOfFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStory(t, newDisk())
		s.start()
		t.Repeat(map[string]func(*rapid.T){
			"wait":    func(t *rapid.T) { s.now = s.now.Add(time.Duration(rapid.Int64Range(0, int64(8*day)).Draw(t, "for"))) },
			"renew":   func(*rapid.T) { s.renew() },
			"publish": func(*rapid.T) { s.publish() },
			"tell":    func(*rapid.T) { s.tell() },
			"restart": func(*rapid.T) { s.start() },
			"fault": func(t *rapid.T) {
				s.arm(rapid.IntRange(1, 4).Draw(t, "call"), rapid.SampledFrom(faults).Draw(t, "how"))
			},
			"": func(*rapid.T) { s.check() },
		})
		s.settle()
	})
}
