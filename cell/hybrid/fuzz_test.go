package hybrid

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzReadMessage1(f *testing.F) {
	static := x25519(f, count(1, 32))
	good := newPair(f, static).message1(f)
	f.Add(good)
	f.Add(good[:Overhead1])
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := NewResponder(prologue, static)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := r.ReadMessage1(in)
		if err != nil {
			if !errors.Is(err, ErrFailed) || payload != nil {
				t.Fatalf("%v", err)
			}
			return
		}
		if !bytes.Equal(in, good) { // the other ends' keys are not the fuzzer's
			t.Fatal("a forged message 1 is accepted")
		}
	})
}

func FuzzReadMessage2(f *testing.F) {
	static := x25519(f, count(1, 32))
	good, _ := newPair(f, static).message2(f)
	f.Add(good)
	f.Add(good[:Overhead2])
	f.Fuzz(func(t *testing.T, in []byte) {
		p := newPair(t, static)
		p.message1(t)
		if payload, s, err := p.i.ReadMessage2(in); !errors.Is(err, ErrFailed) || payload != nil || s != nil {
			t.Fatalf("a message 2 of another handshake: %v", err)
		}
	})
}
