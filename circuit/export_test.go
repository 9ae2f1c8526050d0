package circuit

import "tunic/cell"

// Asleep reports whether the key objects of the circuit's layers are dropped.
func (c *Circuit) Asleep() bool { return c.rest.state.Load() == asleep }

// Asleep does the same for a hop.
func (h *Hop) Asleep() bool { return h.rest.state.Load() == asleep }

// ID returns the stream's id.
func (s *Stream) ID() cell.StreamID { return s.id }

// Numbers that tests outside of the package check.
const (
	XOffLimit  = xoffLimit
	XOffGrace  = xoffGrace
	MaxEarly   = maxEarly
	HopTimeout = hopTimeout
	SleepAfter = sleepAfter
	MaxLate    = maxLate
)

// RaceEnabled reports whether the race detector is on: pools drop items then.
const RaceEnabled = raceEnabled
