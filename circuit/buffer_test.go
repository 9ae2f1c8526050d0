package circuit

import (
	"bytes"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestBufferIsAQueueOfBytes compares a buffer with the obvious model.
func TestBufferIsAQueueOfBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b buffer
		var model bytes.Buffer
		next := byte(0)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				p := make([]byte, rapid.IntRange(0, 3*smallChunk).Draw(t, "bytes"))
				for i := range p {
					p[i] = next
					next++
				}
				b.put(p)
				model.Write(p)
			},
			"get": func(t *rapid.T) {
				got := make([]byte, rapid.IntRange(0, 2*largeChunk).Draw(t, "room"))
				want := model.Next(len(got))
				got = got[:b.get(got)]
				if !bytes.Equal(got, want) {
					t.Fatalf("get returned %d bytes, want %d, or others", len(got), len(want))
				}
			},
			"take": func(t *rapid.T) {
				enough := rapid.OneOf(rapid.Just(math.MaxInt), rapid.IntRange(1, 2*largeChunk)).Draw(t, "enough")
				first, n := b.take(enough)
				var got []byte
				for c := first; c != nil; c = c.next {
					got = append(got, c.data[c.r:c.w]...)
				}
				releaseAll(first)
				if n < min(enough, model.Len()) || n-largeChunk >= enough {
					t.Fatalf("take returned %d bytes of %d, want %d", n, model.Len(), enough)
				}
				if n != len(got) || !bytes.Equal(got, model.Next(n)) {
					t.Fatalf("take says %d bytes and holds %d, or others", n, len(got))
				}
			},
			"": func(t *rapid.T) {
				if b.n != model.Len() || (b.first == nil) != (b.n == 0) {
					t.Fatalf("buffer of %d bytes, want %d", b.n, model.Len())
				}
			},
		})
	})
}

// TestBufferStartsSmall holds what many streams with a little unread data cost.
func TestBufferStartsSmall(t *testing.T) {
	var b buffer
	b.put([]byte{1})
	if n := len(b.first.data); n != smallChunk {
		t.Errorf("one byte takes %d bytes, want %d", n, smallChunk)
	}
	b.put(make([]byte, bulkAfter+smallChunk))
	if n := len(b.last.data); n != largeChunk {
		t.Errorf("bulk takes chunks of %d bytes, want %d", n, largeChunk)
	}
	if n := b.drop(); n != 1+bulkAfter+smallChunk || b.n != 0 {
		t.Errorf("drop returned %d bytes and left %d", n, b.n)
	}
}

// TestBufferReusesChunks holds that a stream in use does not allocate.
func TestBufferReusesChunks(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop items in race builds")
	}
	var b buffer
	p := make([]byte, 491)
	if n := testing.AllocsPerRun(1000, func() {
		for range 31 {
			b.put(p)
		}
		first, _ := b.take(math.MaxInt)
		releaseAll(first)
	}); n > 0 {
		t.Errorf("%v allocations for 31 cells, want 0", n)
	}
}
