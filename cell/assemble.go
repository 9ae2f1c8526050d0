package cell

import "fmt"

// An Assembler puts the fragments of one handshake message together. They must
// come in order and complete; after an error, and after the last fragment, every
// further one is an error. It holds no memory until the first fragment has come.
// The zero Assembler is one for CREATE cells.
type Assembler struct {
	kind  FragmentKind
	next  uint8 // index of the fragment to come; Fragments when no more may come
	whole []byte
}

// NewAssembler returns an Assembler for fragments of kind k.
func NewAssembler(k FragmentKind) Assembler { return Assembler{kind: k} }

// Add takes the next fragment: the body of a cell or the data of a message. It
// copies what it needs of b. With the last fragment it returns the whole, which
// is the caller's from then on; before, nil.
func (a *Assembler) Add(b []byte) (done []byte, err error) {
	f, err := ParseFragment(a.kind, b)
	if err == nil && f.Index != a.next {
		err = fmt.Errorf("fragment %d out of order: %w", f.Index, ErrMalformed)
	}
	if err != nil {
		a.next, a.whole = Fragments, nil
		return nil, err
	}
	if a.whole == nil {
		a.whole = make([]byte, 0, a.kind.Size())
	}
	a.whole = append(a.whole, f.Data...)
	a.next++
	if a.next < Fragments {
		return nil, nil
	}
	done, a.whole = a.whole, nil
	return done, nil
}

// Pending reports whether a message has begun to arrive and is not complete.
func (a *Assembler) Pending() bool { return a.whole != nil }
