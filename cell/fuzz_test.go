package cell_test

import (
	"bytes"
	"testing"

	"tunic/cell"
)

// fuzzBody fuzzes one decoder: what it accepts encodes to the same bytes.
func fuzzBody(f *testing.F, b body) {
	for _, v := range validBodies {
		if v.body.name == b.name {
			f.Add(raw(f, v.in))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		v, err := b.decode(in)
		if !bytes.Equal(in, before) {
			t.Fatalf("decoding changed %x to %x", before, in)
		}
		if err != nil {
			return
		}
		if out, err := v.AppendBinary(nil); err != nil || !bytes.Equal(out, in) {
			t.Fatalf("accepted %x, encodes as %x (%v)", in, out, err)
		}
	})
}

func FuzzParseBegin(f *testing.F)     { fuzzBody(f, bodyBegin) }
func FuzzParseConnected(f *testing.F) { fuzzBody(f, bodyConnected) }
func FuzzParseEnd(f *testing.F)       { fuzzBody(f, bodyEnd) }
func FuzzParseResolve(f *testing.F)   { fuzzBody(f, bodyResolve) }
func FuzzParseResolved(f *testing.F)  { fuzzBody(f, bodyResolved) }
func FuzzParseSendme(f *testing.F)    { fuzzBody(f, bodySendme) }
func FuzzParseXOn(f *testing.F)       { fuzzBody(f, bodyXOn) }
func FuzzParseExtend(f *testing.F)    { fuzzBody(f, bodyExtend) }

func FuzzParseMessage(f *testing.F) {
	for c := cell.Begin; c.Known(); c++ {
		stream := cell.StreamID(0)
		if c.OfStream() {
			stream = 1
		}
		f.Add(message(c, stream, 1))
		f.Add(message(c, stream, cell.MaxData))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := cell.ParseMessage(in)
		if err != nil {
			return
		}
		out := bytes.Clone(in) // the padding is the sender's
		cell.PutMessageHeader(out, m.Command, m.Stream, len(m.Data))
		copy(out[cell.MessageHeaderSize:], m.Data)
		if !bytes.Equal(out, in) {
			t.Fatalf("accepted %x, encodes as %x", in, out)
		}
		for _, b := range bodies { // whatever a message carries, no decoder falls over it
			_, _ = b.decode(m.Data)
		}
	})
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte{0x80, 0, 0, 1, 3})
	f.Fuzz(func(t *testing.T, in []byte) {
		var c [cell.Size]byte
		copy(c[:], in)
		h := cell.ParseHeader(&c)
		out := c
		cell.PutHeader(out[:], h)
		if out != c {
			t.Fatalf("%x encodes as %x", c[:cell.HeaderSize], out[:cell.HeaderSize])
		}
	})
}

// Cells with a body of their own: what follows the value is ignored, so only the
// value comes back.
func FuzzParseCellBodies(f *testing.F) {
	b := make([]byte, cell.BodySize)
	b[0] = byte(cell.ReasonTimeout)
	f.Add(b)
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := cell.ParseDestroy(in)
		if (err == nil) != (len(in) == cell.BodySize) {
			t.Fatalf("ParseDestroy of %d bytes: %v", len(in), err)
		}
		n, err2 := cell.ParseDirNonce(in)
		if (err2 == nil) != (err == nil) {
			t.Fatalf("ParseDirNonce of %d bytes: %v", len(in), err2)
		}
		if err != nil {
			return
		}
		out := make([]byte, cell.BodySize)
		if byte(r) != in[0] {
			t.Fatalf("reason %d is read as %d", in[0], r)
		}
		cell.PutDirNonce(out, &n)
		if !bytes.Equal(out[:cell.DirNonceSize], in[:cell.DirNonceSize]) {
			t.Fatalf("nonce %x comes back as %x", in[:32], out[:32])
		}
	})
}

// A sequence of fragments, each with the length of its data in front; whatever
// comes, an Assembler gives either the concatenation in order or an error.
func FuzzAssembler(f *testing.F) {
	for _, k := range fragmentKinds {
		_, parts := fragments(k.kind)
		var in []byte
		for _, p := range parts {
			in = append(in, byte(len(p)>>8), byte(len(p)))
			in = append(in, p...)
		}
		f.Add(byte(k.kind), in)
	}
	f.Fuzz(func(t *testing.T, kind byte, in []byte) {
		k := cell.FragmentKind(kind % 4)
		a := cell.NewAssembler(k)
		var want []byte
		for n := 0; len(in) >= 2; n++ {
			size := min(int(in[0])<<8|int(in[1]), len(in)-2)
			piece := in[2 : 2+size]
			in = in[2+size:]
			done, err := a.Add(piece)
			if err != nil {
				if a.Pending() {
					t.Fatal("pending after an error")
				}
				return
			}
			if n >= cell.Fragments || piece[0] != byte(n) {
				t.Fatalf("piece %d with index %d accepted", n, piece[0])
			}
			fr, err := cell.ParseFragment(k, piece)
			if err != nil {
				t.Fatalf("Add accepts what ParseFragment refuses: %v", err)
			}
			want = append(want, fr.Data...)
			if (done != nil) != (n == cell.Fragments-1) || done != nil && (!bytes.Equal(done, want) || len(done) != k.Size()) {
				t.Fatalf("piece %d: %d bytes done, want %d", n, len(done), len(want))
			}
			again := make([]byte, cell.BodySize)
			if done != nil && !bytes.Equal(again[:cell.PutFragment(again, k, n, done)], piece) {
				t.Fatal("the last fragment does not encode as it came")
			}
		}
	})
}
