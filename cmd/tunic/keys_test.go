package main

import (
	"testing"
	"time"

	"tunic/directory/keys"
)

func TestKeysThatDoNotCountAreNotInUse(t *testing.T) {
	now := time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	for want, i := range map[string]keys.Item{
		"in use":                 {Created: now.Add(-time.Hour), Expires: now.Add(time.Second)},
		"expired":                {Created: now.Add(-time.Hour), Expires: now, Retired: true},
		"not valid yet":          {Created: now.Add(time.Hour), Expires: now.Add(2 * time.Hour)},
		"retired, still answers": {Created: now.Add(-time.Hour), Retired: true},
	} {
		if got := keyState(i, now); got != want {
			t.Errorf("%+v at %v is %s, want %s", i, now, got, want)
		}
	}
	if got := keyState(keys.Item{Kind: "identity"}, now); got != "in use" {
		t.Errorf("an identity, which has no end, is %s", got)
	}
}
