package circuit

import (
	"sync"
	"time"
)

// A buffer is the unread data of a stream: chunks from two pools, taken as they
// are needed. A stream's first chunks are small, so that many streams with a
// little unread data hold little; once it has shown that it moves bulk they are
// as large as what one write to a socket is worth.
type buffer struct {
	first, last *chunk
	n           int   // bytes in all chunks
	total       int64 // bytes ever put
}

const ( // our choice; bytes
	smallChunk = 4 << 10  // eight cells
	largeChunk = 32 << 10 // two records
	bulkAfter  = 16 << 10 // put into a stream before it gets large chunks
)

// A chunk holds the bytes data[r:w].
type chunk struct {
	next *chunk
	r, w int
	data []byte
	at   time.Time // when its first byte came
}

var (
	smallChunks = sync.Pool{New: func() any { return &chunk{data: make([]byte, smallChunk)} }}
	largeChunks = sync.Pool{New: func() any { return &chunk{data: make([]byte, largeChunk)} }}
)

func newChunk(total int64) *chunk {
	pool := &smallChunks
	if total >= bulkAfter {
		pool = &largeChunks
	}
	c := pool.Get().(*chunk)
	c.next, c.r, c.w, c.at = nil, 0, 0, time.Now()
	return c
}

func (c *chunk) release() {
	if len(c.data) == smallChunk {
		smallChunks.Put(c)
	} else {
		largeChunks.Put(c)
	}
}

// put appends p.
func (b *buffer) put(p []byte) {
	b.n += len(p)
	for len(p) > 0 {
		if b.last == nil || b.last.w == len(b.last.data) {
			b.grow()
		}
		n := copy(b.last.data[b.last.w:], p)
		b.last.w += n
		b.total += int64(n)
		p = p[n:]
	}
}

func (b *buffer) grow() {
	c := newChunk(b.total)
	if b.last == nil {
		b.first = c
	} else {
		b.last.next = c
	}
	b.last = c
}

// room returns how many bytes the chunks take.
func (b *buffer) room() (bytes int64) {
	for c := b.first; c != nil; c = c.next {
		bytes += int64(len(c.data))
	}
	return bytes
}

// get moves the front of the buffer to p.
func (b *buffer) get(p []byte) (n int) {
	for n < len(p) && b.first != nil {
		c := b.first
		k := copy(p[n:], c.data[c.r:c.w])
		c.r += k
		n += k
		if c.r < c.w {
			break
		}
		b.first = c.next
		if b.first == nil {
			b.last = nil
		}
		c.release()
	}
	b.n -= n
	return n
}

// take moves chunks out of the buffer: all, or the first that hold at least enough
// bytes. Who takes them releases them.
func (b *buffer) take(enough int) (first *chunk, n int) {
	first = b.first
	var last *chunk
	for b.first != nil && n < enough {
		last = b.first
		n += last.w - last.r
		b.first = last.next
	}
	if last == nil {
		return nil, 0
	}
	last.next = nil
	if b.first == nil {
		b.last = nil
	}
	b.n -= n
	return first, n
}

// drop releases all chunks and returns how many bytes they held.
func (b *buffer) drop() int {
	n := b.n
	releaseAll(b.first)
	b.first, b.last, b.n = nil, nil, 0
	return n
}

func releaseAll(c *chunk) {
	for c != nil {
		next := c.next
		c.release()
		c = next
	}
}
