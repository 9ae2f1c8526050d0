package link

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"tunic/cell"
	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

// sessions runs a handshake and returns both ends.
func sessions(t testing.TB) (a, b *hybrid.Session) {
	t.Helper()
	key := keys.GenerateLink()
	i, err := hybrid.NewInitiator(nil, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	r, err := hybrid.NewResponder(nil, key.ECDH())
	if err != nil {
		t.Fatal(err)
	}
	one, err := i.Message1(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadMessage1(one); err != nil {
		t.Fatal(err)
	}
	two, b, err := r.Message2(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, a, err = i.ReadMessage2(two); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func ends(t testing.TB) (*sealer, *opener) {
	a, b := sessions(t)
	return newSealer(a.Send), newOpener(b.Recv)
}

// record seals n cells of a fill byte.
func record(t testing.TB, s *sealer, n int, fill byte) []byte {
	t.Helper()
	b := make([]byte, lengthSize+n*cell.Size, lengthSize+n*cell.Size+hybrid.TagSize)
	for i := lengthSize; i < len(b); i++ {
		b[i] = fill
	}
	rec, err := s.seal(b)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func (o *opener) openWhole(rec []byte) ([]byte, error) {
	n, err := o.length(rec)
	if err != nil {
		return nil, err
	}
	if n != len(rec)-lengthSize {
		return nil, io.ErrUnexpectedEOF
	}
	return o.open(rec[lengthSize:])
}

func TestRecordsOfEveryLength(t *testing.T) {
	s, o := ends(t)
	for n := 1; n <= cell.RecordCells; n++ {
		rec := record(t, s, n, byte(n))
		if len(rec) != 2+517*n+16 {
			t.Fatalf("a record of %d cells has %d bytes", n, len(rec))
		}
		got, err := o.openWhole(rec)
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(n)}, n*cell.Size)) {
			t.Fatalf("a record of %d cells does not come back: %v", n, err)
		}
	}
}

func TestSizes(t *testing.T) {
	for name, c := range map[string][2]int{
		"message 1": {message1Size, 1280}, "message 2": {message2Size, 1200},
		"first record": {lengthSize + firstSealed, 1052}, "longest record": {lengthSize + maxSealed, 16045},
		"records per key": {rekeyRecords, 4096}, "control queue": {controlCells, 1024},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %d, want %d", name, c[0], c[1])
		}
	}
}

// Both ends renew the key after 2^12 records of a direction, and only then.
func TestRekey(t *testing.T) {
	s, o := ends(t)
	for i := range 2*rekeyRecords + 3 {
		if _, err := o.openWhole(record(t, s, 1, byte(i))); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
	s.count = rekeyRecords - 1 // one end counts wrong
	if _, err := o.openWhole(record(t, s, 1, 0)); err != nil {
		t.Fatalf("the record before the renewal: %v", err)
	}
	if _, err := o.openWhole(record(t, s, 1, 0)); !errors.Is(err, cell.ErrMalformed) {
		t.Errorf("a record under a renewed key: %v, want ErrMalformed", err)
	}
}

// The same lengths look different each time, and the directions differ.
func TestLengthsAreMasked(t *testing.T) {
	a, b := sessions(t)
	out, back := newSealer(a.Send), newSealer(b.Send)
	seen := map[[2]byte]int{}
	same := 0
	for range 500 {
		x, y := [2]byte(record(t, out, 1, 0)), [2]byte(record(t, back, 1, 0))
		seen[x]++
		if x == y {
			same++
		}
	}
	if len(seen) < 480 || same > 5 {
		t.Errorf("500 equal lengths look like %d, and %d times like the other direction's", len(seen), same)
	}
}

func TestImpossibleLengthsAreRefused(t *testing.T) {
	a, b := sessions(t)
	mask, o := newLengthMask(a.Send), newOpener(b.Recv)
	good := 0
	for n := range 1 << 16 {
		masked := mask.next(uint16(n))
		got, err := o.length([]byte{byte(masked >> 8), byte(masked)})
		if want := n > 16 && (n-16)%517 == 0 && (n-16)/517 <= 31; want != (err == nil) {
			t.Fatalf("length %d: %v", n, err)
		} else if want && got != n {
			t.Fatalf("length %d was read as %d", n, got)
		}
		if err == nil {
			good++
		} else if !errors.Is(err, cell.ErrMalformed) {
			t.Fatalf("length %d: %v, want ErrMalformed", n, err)
		}
	}
	if good != 31 {
		t.Errorf("%d lengths are possible, want 31", good)
	}
}

// One flipped bit anywhere, in the length, a cell or the tag, and nothing is
// delivered.
func TestFlippedBitIsRefused(t *testing.T) {
	for at := 0; at < 2+517+16; at++ {
		if at == 40 {
			at = 500 // every byte of a cell is alike to the AEAD
		}
		s, o := ends(t)
		rec := record(t, s, 1, 5)
		rec[at] ^= 1 << (at % 8)
		if got, err := o.openWhole(rec); err == nil {
			t.Fatalf("byte %d flipped: %x", at, got)
		}
	}
}

func TestRecordsInOrderOnly(t *testing.T) {
	s, o := ends(t)
	record(t, s, 1, 1)
	if _, err := o.openWhole(record(t, s, 1, 2)); err == nil {
		t.Error("the second record was opened first")
	}
	s, o = ends(t)
	first := record(t, s, 1, 1)
	again := bytes.Clone(first)
	if _, err := o.openWhole(first); err != nil {
		t.Fatal(err)
	}
	if _, err := o.openWhole(again); err == nil {
		t.Error("a record was opened twice")
	}
}

func BenchmarkRecord(b *testing.B) {
	for _, n := range []int{1, cell.RecordCells} {
		buf := make([]byte, lengthSize+maxSealed)
		b.Run(fmt.Sprintf("seal/%d", n), func(b *testing.B) {
			s, _ := ends(b)
			b.SetBytes(int64(n * cell.BodySize))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.seal(buf[:lengthSize+n*cell.Size]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("both/%d", n), func(b *testing.B) {
			s, o := ends(b)
			b.SetBytes(int64(n * cell.BodySize))
			b.ReportAllocs()
			for b.Loop() {
				rec, err := s.seal(buf[:lengthSize+n*cell.Size])
				if err != nil {
					b.Fatal(err)
				}
				if _, err := o.openWhole(rec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
