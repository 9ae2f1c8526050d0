package hybrid

import (
	"errors"
	"testing"
)

// The fuzzers' input is the difference to a message that is right: the
// fuzzer's processes make keys of their own, so that a message of one would be
// noise to another. All zeros is the message itself.
func apply(good, difference []byte) (msg []byte, same bool) {
	same = len(difference) == len(good)
	msg = make([]byte, len(difference))
	for i, d := range difference {
		msg[i] = d
		if i < len(good) {
			msg[i] ^= good[i]
		}
		same = same && d == 0
	}
	return msg, same
}

func addDifferences(f *testing.F, size int) {
	f.Add(make([]byte, size))
	f.Add(make([]byte, size-1))
	f.Add(make([]byte, size+1))
	one := make([]byte, size)
	one[size/2] = 1
	f.Add(one)
	f.Add([]byte{})
}

func FuzzReadMessage1(f *testing.F) {
	static := newStatic(f)
	good := newPair(f, static).message1(f)
	addDifferences(f, len(good))
	f.Fuzz(func(t *testing.T, difference []byte) {
		msg, same := apply(good, difference)
		r, err := NewResponder(prologue, static)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := r.ReadMessage1(msg)
		if same != (err == nil) || err != nil && (!errors.Is(err, ErrFailed) || payload != nil) {
			t.Fatalf("the right message: %v; %v", same, err)
		}
	})
}

func FuzzReadMessage2(f *testing.F) {
	static := newStatic(f)
	addDifferences(f, Overhead2+3)
	f.Fuzz(func(t *testing.T, difference []byte) {
		p := newPair(t, static)
		good, _ := p.message2(t)
		msg, same := apply(good, difference)
		payload, s, err := p.i.ReadMessage2(msg)
		if same != (err == nil) || err != nil && (!errors.Is(err, ErrFailed) || payload != nil || s != nil) {
			t.Fatalf("the right message: %v; %v", same, err)
		}
	})
}
