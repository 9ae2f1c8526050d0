package handshake

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzParseExtensions(f *testing.F) {
	for _, e := range []Extensions{{}, {31, 0}, {0, 1}, {31, 1 << 40}} {
		b := make([]byte, askedSize)
		e.put(b)
		f.Add(b)
	}
	f.Add([]byte{1, 1, 31, 7, 2, 0xaa, 0xbb, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		e, unknown, err := parseExtensions(in)
		if err != nil || unknown != 0 {
			return
		}
		out := make([]byte, max(len(in), 13))
		e.put(out)
		if !bytes.Equal(out[:len(in)], in) {
			t.Fatalf("accepted % x, encodes as % x", in, out)
		}
	})
}

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

func addDifferences(f *testing.F) {
	f.Add(make([]byte, Size))
	f.Add(make([]byte, Size-1))
	f.Add(make([]byte, Size+1))
	for _, at := range []int{0, 1, headerSize, Size / 2, Size - 1} {
		one := make([]byte, Size)
		one[at] = 1
		f.Add(one)
	}
}

func FuzzAnswer(f *testing.F) {
	r := newRelay()
	_, good := r.start(f, Extensions{31, 1})
	addDifferences(f)
	f.Fuzz(func(t *testing.T, difference []byte) {
		msg, same := apply(good, difference)
		reply, res, err := r.answer(msg)
		known := errors.Is(err, ErrMalformed) || errors.Is(err, ErrVersion) || errors.Is(err, ErrUnknownKey) || errors.Is(err, ErrFailed)
		if same != (err == nil) || err != nil && (!known || reply != nil || res != nil) {
			t.Fatalf("the right message: %v; %v", same, err)
		}
	})
}

func FuzzFinish(f *testing.F) {
	r := newRelay()
	addDifferences(f)
	f.Fuzz(func(t *testing.T, difference []byte) {
		c, msg := r.start(t, Extensions{31, 1})
		good, _, err := r.answer(msg)
		if err != nil {
			t.Fatal(err)
		}
		reply, same := apply(good, difference)
		res, err := c.Finish(reply)
		known := errors.Is(err, ErrMalformed) || errors.Is(err, ErrFailed)
		if same != (err == nil) || err != nil && (!known || res != nil) {
			t.Fatalf("the right answer: %v; %v", same, err)
		}
	})
}
