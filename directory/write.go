package directory

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"tunic/directory/keys"
)

// A writer builds a document line by line. A field out of its bounds spoils it,
// so that nothing is encoded that would not parse.
type writer struct {
	b   []byte
	err error
}

// keyword begins a line.
func (w *writer) keyword(s string) *writer { w.b = append(w.b, s...); return w }

// end ends a line.
func (w *writer) end() { w.b = append(w.b, '\n') }

func (w *writer) fail(what string) {
	if w.err == nil {
		w.err = fmt.Errorf("encode %s: %w", what, ErrMalformed)
	}
}

// text appends a field that its caller has checked.
func (w *writer) text(s string) *writer {
	w.b = append(append(w.b, ' '), s...)
	return w
}

func (w *writer) uint(n, max uint64, what string) *writer {
	if n > max {
		w.fail(what)
	}
	w.b = strconv.AppendUint(append(w.b, ' '), n, 10)
	return w
}

func (w *writer) int(n int64) *writer {
	w.b = strconv.AppendInt(append(w.b, ' '), n, 10)
	return w
}

func (w *writer) time(t time.Time, layout, what string) *writer {
	if !validTime(t) {
		w.fail(what)
	}
	w.b = t.UTC().AppendFormat(append(w.b, ' '), layout)
	return w
}

func (w *writer) binary(b []byte) *writer {
	w.b = encoding64.AppendEncode(append(w.b, ' '), b)
	return w
}

func (w *writer) digest(d Digest) *writer {
	if d.IsZero() {
		return w.text("none")
	}
	return w.binary(d[:])
}

func (w *writer) address(a netip.AddrPort) *writer {
	w.b = a.AppendTo(append(w.b, ' '))
	return w
}

func (w *writer) versions(v Versions) *writer {
	if v == 0 || v&1 != 0 {
		w.fail("versions")
	}
	w.b = v.appendTo(append(w.b, ' '))
	return w
}

// optional writes a line for a number, none for 0.
func (w *writer) optional(keyword string, n, max uint64) {
	if n != 0 {
		w.keyword(keyword).uint(n, max, keyword).end()
	}
}

// ports writes a line for a summary, none for the empty one.
func (w *writer) ports(keyword string, s PortSummary) {
	if s.Empty() {
		return
	}
	if len(s.ranges) > MaxPortRanges {
		w.fail(keyword)
	}
	w.b = s.appendTo(append(w.keyword(keyword).b, ' '))
	w.end()
}

// flags writes a line of flags; the keyword alone says none.
func (w *writer) flags(keyword string, f Flags) {
	if f&^AllFlags != 0 {
		w.fail(keyword)
	}
	w.keyword(keyword)
	if f != 0 {
		w.b = f.appendTo(append(w.b, ' '))
	}
	w.end()
}

func (w *writer) certificate(c keys.Certificate) *writer {
	b, err := c.AppendBinary(nil)
	if err != nil {
		w.fail("certificate")
	}
	return w.binary(b)
}
