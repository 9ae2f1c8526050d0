package authority

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/admission"
)

// grow makes all relays that a node knows so old.
func (n *testNode) grow(days int) {
	today := dayNumber(time.Now())
	n.reg.mu.Lock()
	defer n.reg.mu.Unlock()
	for _, r := range n.reg.relays {
		r.service.FirstListed = directory.Day(time.Now()).AddDate(0, 0, -days)
		r.service.Ageing = admission.Ageing{Days: days, Last: today}
		r.service.Adopt = false
	}
}

// want checks the age of all relays in a consensus.
func (tn *testNet) want(b *directory.Bundle, count, days int) {
	tn.t.Helper()
	first := directory.Day(b.Consensus.ValidAfter).AddDate(0, 0, -days)
	if len(b.Consensus.Relays) != count {
		tn.t.Errorf("%v: %d relays, want %d", b.Consensus.ValidAfter, len(b.Consensus.Relays), count)
	}
	for i := range b.Consensus.Relays {
		if r := &b.Consensus.Relays[i]; r.Age != days || !r.FirstListed.Equal(first) {
			tn.t.Errorf("%v: %s is of %v, %d days old; want %v, %d", b.Consensus.ValidAfter, r.Nickname, r.FirstListed, r.Age, first, days)
		}
	}
}

// An authority loses all that it knew, and later another one is down: relays stay
// as old as they are, since the first has learnt it from the consensus. A third
// that lies about ages changes nothing.
func TestAuthorityWithoutItsFileMakesNobodyYoung(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		for i := range tn.nodes {
			tn.start(i)
		}
		tn.relays(3)
		tn.want(tn.same(0, 0, 1, 2), 3, 0)
		for _, n := range tn.nodes {
			n.grow(300)
		}
		tn.want(tn.same(1, 0, 1, 2), 3, 300)

		tn.stopNode(2)
		if err := os.RemoveAll(filepath.Join(tn.dir, fmt.Sprint("state", 2))); err != nil {
			tn.t.Fatal(err)
		}
		tn.want(tn.same(2, 0, 1), 3, 300)
		tn.start(2)
		for round := range int64(5) {
			tn.want(tn.same(3+round, 0, 1), 3, 300)
		}
		tn.stopNode(0)
		for round := range int64(3) {
			tn.want(tn.same(8+round, 1, 2), 3, 300)
		}
		tn.start(0)
		tn.same(11, 1, 2)
		tn.nodes[0].grow(9000)
		for round := range int64(2) {
			tn.want(tn.same(12+round, 0, 1, 2), 3, 300)
		}
		tn.nodes[0].grow(0)
		tn.want(tn.same(14, 0, 1, 2), 3, 300)
	})
}
