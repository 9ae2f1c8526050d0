package congestion

// A Receiver is the end of a circuit that receives data. It is not safe for
// concurrent use.
type Receiver struct {
	inc     int
	count   int // cells since the last that was due
	unacked int // cells that no SENDME of ours covers yet
}

// NewReceiver returns a Receiver that has received nothing. p is clamped.
func NewReceiver(p Params) *Receiver {
	p = p.Clamp()
	return &Receiver{inc: p.SendmeInc}
}

// Received counts one DATA cell, as soon as it is recognised and before its data
// goes anywhere. If due, a SENDME with this cell's tag must be sent now, and
// [Receiver.Acked] called when it is on its way.
func (r *Receiver) Received() (due bool) {
	r.count++
	r.unacked++
	if r.count < r.inc {
		return false
	}
	r.count = 0
	return true
}

// Acked says that a SENDME that was due has been queued to be sent. It panics if
// none was due.
func (r *Receiver) Acked() {
	if r.unacked < r.inc {
		panic("congestion: sendme that is not due")
	}
	r.unacked -= r.inc
}

// Overrun reports whether the peer has sent more than any window allows before
// it was acknowledged: the circuit must end.
func (r *Receiver) Overrun() bool { return r.unacked > MaxWindow }
