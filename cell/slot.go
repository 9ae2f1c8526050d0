package cell

import "sync"

// SlotSize is the room of a slot in bytes: a cell, and behind it the 32 bytes
// that sealing a layer in place overwrites, rounded up.
const SlotSize = 560

// SlotMemory is what a slot takes of the heap, in bytes.
const SlotMemory = SlotSize + 16

// A Slot holds one cell on its way through a node, and links it into a queue.
// It has one owner at a time; who puts a slot into a queue hands it over, and
// the last owner calls [Slot.Release].
type Slot struct {
	Next *Slot // belongs to the queue that holds the slot
	Time int64 // belongs to the queue: when the slot was queued, monotonic nanoseconds
	buf  [SlotSize]byte
}

// The body of a slot's cell, with room behind it for sealing in place.
const slotBody = HeaderSize

var slots = sync.Pool{New: func() any { return new(Slot) }}

// NewSlot takes a slot from the pool. Its content is undefined.
func NewSlot() *Slot { return slots.Get().(*Slot) }

// Release gives the slot back. In race builds its content is overwritten first,
// so that tests see a late reader.
func (s *Slot) Release() {
	poison(s.buf[:])
	s.Next = nil
	slots.Put(s)
}

// Cell returns the cell in the slot, [Size] bytes.
func (s *Slot) Cell() *[Size]byte { return (*[Size]byte)(s.buf[:Size]) }

// Body returns the cell's body: length [BodySize], capacity to the slot's end,
// so that a layer can be sealed in place.
func (s *Slot) Body() []byte { return s.buf[slotBody : slotBody+BodySize : SlotSize] }

// Message returns the relay message in the body, [MessageSize] bytes.
func (s *Slot) Message() []byte { return s.buf[slotBody+TagSize : Size : SlotSize] }

// SetHeader writes the cell's header.
func (s *Slot) SetHeader(id CircuitID, c Command) { PutHeader(s.buf[:], Header{id, c}) }

// Command returns the command of the cell in the slot.
func (s *Slot) Command() Command { return Command(s.buf[4]) }
