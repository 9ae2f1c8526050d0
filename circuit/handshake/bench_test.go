package handshake

import (
	"errors"
	"testing"

	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

// Both ends of a hop's handshake.
func BenchmarkHopHandshake(b *testing.B) {
	r := newRelay()
	b.ReportAllocs()
	for b.Loop() {
		c, msg := r.start(b, Extensions{})
		reply, _, err := r.answer(msg)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Finish(reply); err != nil {
			b.Fatal(err)
		}
	}
}

// What a relay spends on one.
func BenchmarkAnswer(b *testing.B) {
	r := newRelay()
	replay := hybrid.NewReplay()
	_, msg := r.start(b, Extensions{})
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := r.answer(msg); err != nil {
			b.Fatal(err)
		}
		replay.Seen(hybrid.Ephemeral(msg))
	}
}

// What a relay spends on a key that it does not have: no key agreement.
func BenchmarkUnknownKey(b *testing.B) {
	r := newRelay()
	_, msg := r.start(b, Extensions{})
	r.key = keys.GenerateCircuit()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := r.answer(msg); !errors.Is(err, ErrUnknownKey) {
			b.Fatal(err)
		}
	}
}
