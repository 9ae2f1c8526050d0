package client

import (
	"fmt"
	"testing"
	"time"

	"tunic/client/path"
)

// A full list loses the relay whose time is over first, whatever the order in
// which a map is walked; one that is shunned again takes no other's place.
func TestShunForgetsTheOldest(t *testing.T) {
	begin := time.Unix(1e9, 0)
	for range 20 {
		c := &Client{shunned: map[post]time.Time{}, pool: &pool{}}
		for i := range maxShunned {
			c.shunLocked(nth(i), begin.Add(time.Duration(i)*time.Second))
		}
		now := begin.Add(maxShunned * time.Second)
		c.shunLocked(nth(maxShunned-1), now)
		if list := c.shunnedAt(path.Exit, now); len(list) != maxShunned {
			t.Fatalf("%d relays after one was shunned again, want %d", len(list), maxShunned)
		}
		c.shunLocked(nth(maxShunned), now)
		for i := range maxShunned + 1 {
			if _, kept := c.shunned[nth(i)]; kept != (i > 0) {
				t.Fatalf("relay %d of %d: kept is %t", i, maxShunned+1, kept)
			}
		}
	}
}

// Whose time is over makes room before anybody else does.
func TestShunForgetsWhoseTimeIsOver(t *testing.T) {
	begin := time.Unix(1e9, 0)
	c := &Client{shunned: map[post]time.Time{}, pool: &pool{}}
	for i := range maxShunned {
		c.shunLocked(nth(i), begin.Add(time.Duration(i)*time.Second))
	}
	now := begin.Add(shunFor + 2*time.Second)
	c.shunLocked(nth(maxShunned), now)
	if len(c.shunned) != maxShunned-2 { // 0, 1 and 2 are over
		t.Errorf("%d relays, want %d", len(c.shunned), maxShunned-2)
	}
}

func nth(i int) post { return post{relayID(fmt.Sprint(i)), path.Exit} }
