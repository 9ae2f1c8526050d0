package circuit

import (
	"bytes"
	"io"
	"testing"
)

// Only so many sources have a large buffer at the same time; the others go on with
// small ones, and none is counted after it has been given back.
func TestLargeReadsAreBounded(t *testing.T) {
	before := largeOut.Load()
	var all []*source
	for range 2 * maxLargeReads {
		s := newSource(nil)
		s.take(true)
		all = append(all, s)
	}
	large := 0
	for _, s := range all {
		if len(s.buffer()) == readSize {
			large++
		} else if len(s.buffer()) != smallRead {
			t.Fatalf("a buffer of %d bytes", len(s.buffer()))
		}
		s.release()
		if s.buffer() != nil {
			t.Fatal("a source keeps its buffer")
		}
	}
	if want := maxLargeReads - int(before); large != want {
		t.Errorf("%d of %d have large buffers, want %d", large, len(all), want)
	}
	if n := largeOut.Load(); n != before {
		t.Errorf("%d large buffers are counted, %d were", n, before)
	}
}

// A reader that is no socket is waited for with a small buffer, and read with a large
// one once it has shown that it has much.
func TestSourceGrowsWithItsReader(t *testing.T) {
	want := make([]byte, smallRead+readSize+100)
	for i := range want {
		want[i] = byte(i * 7 >> 3)
	}
	s := newSource(bytes.NewReader(want))
	var got []byte
	for _, size := range []int{smallRead, readSize, 100, 0} {
		p, err := s.next()
		if len(p) != size || (err != nil) != (size == 0) || size == 0 && err != io.EOF {
			t.Fatalf("read %d bytes, %v; want %d", len(p), err, size)
		}
		got = append(got, p...)
		s.release()
	}
	if !bytes.Equal(got, want) {
		t.Error("other bytes were read")
	}
}
