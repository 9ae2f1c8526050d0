package circuit

import (
	"time"

	"tunic/cell"
)

// A remnant is what an end remembers of a stream that it has closed, until the
// peer's END, so that what is under way is no offence. It is owned by the link's
// reader, except late, which the table's lock guards.
//
// A late one belongs to a stream that is over: the peer has ended it with
// EndDone, and may before it saw our END have given it up as well.
type remnant struct {
	late      bool
	connected bool // CONNECTED has come, or never will
	drop      int  // DATA cells that may still come
	flow      flow
}

// receive checks a message that came for a closed stream. It is dropped.
func (r *remnant) receive(m cell.Message) error {
	switch m.Command {
	case cell.Connected:
		if r.connected || r.late {
			return violation("CONNECTED twice")
		}
		r.connected = true
		_, err := cell.ParseConnected(m.Data)
		return err
	case cell.Data:
		if !r.connected || r.late {
			return violation("DATA before CONNECTED or after END")
		}
		if r.drop--; r.drop < 0 {
			return violation("DATA beyond every window on a closed stream")
		}
		return nil
	case cell.XOff, cell.XOn:
		return r.flow.receive(m, time.Now())
	}
	return violation("message for a closed stream")
}
