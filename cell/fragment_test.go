package cell_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"tunic/cell"
)

var fragmentKinds = []struct {
	name string
	kind cell.FragmentKind
	size int
	data [cell.Fragments]int // bytes behind the index
	cell bool
}{
	{"CREATE", cell.AssembleCreate, 1416, [3]int{511, 511, 394}, true},
	{"CREATED", cell.AssembleCreated, 1416, [3]int{511, 511, 394}, true},
	{"EXTEND", cell.AssembleExtend, 1448, [3]int{490, 490, 468}, false},
	{"EXTENDED", cell.AssembleExtended, 1416, [3]int{490, 490, 436}, false},
}

// fragments returns a random message of kind k and its fragments.
func fragments(k cell.FragmentKind) (whole []byte, parts [cell.Fragments][]byte) {
	rng := rand.NewChaCha8([32]byte{byte(k)})
	whole = make([]byte, k.Size())
	rng.Read(whole)
	for i := range parts {
		b := bytes.Repeat([]byte{0xff}, cell.BodySize)
		parts[i] = b[:cell.PutFragment(b, k, i, whole)]
	}
	return whole, parts
}

func TestFragmentsRoundTrip(t *testing.T) {
	for _, tt := range fragmentKinds {
		t.Run(tt.name, func(t *testing.T) {
			if tt.kind.Size() != tt.size {
				t.Fatalf("Size = %d, want %d", tt.kind.Size(), tt.size)
			}
			whole, parts := fragments(tt.kind)
			a := cell.NewAssembler(tt.kind)
			for i, p := range parts {
				want := 1 + tt.data[i]
				if tt.cell {
					want = cell.BodySize
				}
				if len(p) != want || p[0] != byte(i) {
					t.Errorf("fragment %d: %d bytes with index %d, want %d", i, len(p), p[0], want)
				}
				if f, err := cell.ParseFragment(tt.kind, p); err != nil || int(f.Index) != i || len(f.Data) != tt.data[i] {
					t.Errorf("ParseFragment %d = index %d, %d bytes, %v", i, f.Index, len(f.Data), err)
				}
				if a.Pending() != (i > 0) {
					t.Errorf("before fragment %d: Pending is %v", i, a.Pending())
				}
				done, err := a.Add(p)
				clear(p) // Add copies what it needs
				if err != nil || (done != nil) != (i == 2) {
					t.Fatalf("Add(fragment %d) = %d bytes, %v", i, len(done), err)
				}
				if i == 2 && !bytes.Equal(done, whole) {
					t.Error("what comes out is not what went in")
				}
			}
			if a.Pending() {
				t.Error("still pending after the last fragment")
			}
		})
	}
}

func TestAssemblerRejects(t *testing.T) {
	tests := []struct {
		name string
		feed func(p [cell.Fragments][]byte) [][]byte // the last one is to be refused
	}{
		{"the second first", func(p [3][]byte) [][]byte { return [][]byte{p[1]} }},
		{"the third first", func(p [3][]byte) [][]byte { return [][]byte{p[2]} }},
		{"the first twice", func(p [3][]byte) [][]byte { return [][]byte{p[0], p[0]} }},
		{"the second left out", func(p [3][]byte) [][]byte { return [][]byte{p[0], p[2]} }},
		{"the second twice", func(p [3][]byte) [][]byte { return [][]byte{p[0], p[1], p[1]} }},
		{"a fourth", func(p [3][]byte) [][]byte { return [][]byte{p[0], p[1], p[2], p[2]} }},
		{"anew after the end", func(p [3][]byte) [][]byte { return [][]byte{p[0], p[1], p[2], p[0]} }},
		{"index 3", func(p [3][]byte) [][]byte { p[2][0] = 3; return [][]byte{p[0], p[1], p[2]} }},
		{"index 255", func(p [3][]byte) [][]byte { p[0][0] = 255; return [][]byte{p[0]} }},
		{"nothing", func(p [3][]byte) [][]byte { return [][]byte{nil} }},
		{"an index alone", func(p [3][]byte) [][]byte { return [][]byte{p[0][:1]} }},
		{"one byte short", func(p [3][]byte) [][]byte { return [][]byte{p[0], p[1][:len(p[1])-1]} }},
		{"one byte long", func(p [3][]byte) [][]byte { return [][]byte{p[0], append(bytes.Clone(p[1]), 0)} }},
		{"the last one byte short", func(p [3][]byte) [][]byte { return [][]byte{p[0], p[1], p[2][:len(p[2])-1]} }},
		{"the last one byte long", func(p [3][]byte) [][]byte { return [][]byte{p[0], p[1], append(bytes.Clone(p[2]), 0)} }},
		{"the last as long as the others", func(p [3][]byte) [][]byte {
			return [][]byte{p[0], p[1], append([]byte{2}, bytes.Repeat([]byte{1}, len(p[0])-1)...)}
		}},
	}
	for _, k := range fragmentKinds {
		for _, tt := range tests {
			t.Run(k.name+"/"+tt.name, func(t *testing.T) {
				whole, parts := fragments(k.kind)
				feed := tt.feed(parts)
				a := cell.NewAssembler(k.kind)
				for i, p := range feed {
					done, err := a.Add(p)
					if i < len(feed)-1 {
						if err != nil {
							t.Fatalf("piece %d: %v", i, err)
						}
						continue
					}
					if !errors.Is(err, cell.ErrMalformed) || done != nil {
						t.Errorf("Add = %d bytes, %v, want ErrMalformed", len(done), err)
					}
				}
				if a.Pending() {
					t.Error("an Assembler that failed holds on to memory")
				}
				for i := range cell.Fragments { // and takes nothing any more
					b := make([]byte, cell.BodySize)
					if _, err := a.Add(b[:cell.PutFragment(b, k.kind, i, whole)]); err == nil {
						t.Errorf("after an error, fragment %d is accepted", i)
					}
				}
			})
		}
	}
}

func TestCreateFragmentRejectsFilledRest(t *testing.T) {
	for at := 1 + 394; at < cell.BodySize; at++ {
		_, parts := fragments(cell.AssembleCreate)
		parts[2][at] = 1
		if _, err := cell.ParseFragment(cell.AssembleCreate, parts[2]); !errors.Is(err, cell.ErrMalformed) {
			t.Fatalf("byte %d behind the handshake set: %v, want ErrMalformed", at, err)
		}
	}
}

func TestPutFragmentPanics(t *testing.T) {
	whole := make([]byte, cell.HandshakeSize)
	tests := []struct {
		name  string
		dst   int
		i     int
		whole []byte
	}{
		{"no such fragment", cell.BodySize, 3, whole},
		{"before the first", cell.BodySize, -1, whole},
		{"handshake too short", cell.BodySize, 0, whole[1:]},
		{"no room", cell.BodySize - 1, 0, whole},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("PutFragment did not panic")
				}
			}()
			cell.PutFragment(make([]byte, tt.dst), cell.AssembleCreate, tt.i, tt.whole)
		})
	}
}
