package authority

import "time"

// Status is what an operator may want to know.
type Status struct {
	Relays     int       // with a descriptor
	Running    int       // of them, in this authority's opinion
	Period     time.Time // valid-after of the period that is being voted on, zero before Run
	Votes      int       // that count in it so far
	Consensus  time.Time // valid-after of the consensus that is served, zero if none
	Listed     int       // relays in it
	Signatures int       // authorities that signed it
	Problem    string    // why the last period brought no consensus, "" if it brought one
}

// Status returns what is so now.
func (a *Authority) Status() Status {
	var s Status
	s.Relays, s.Running = a.reg.count(time.Now())
	if b := a.cache.Current(); b != nil {
		s.Consensus, s.Listed = b.Consensus.ValidAfter, len(b.Consensus.Relays)
		s.Signatures = len(b.Signed.Signers(a.network))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.periods) > 0 {
		p := a.periods[len(a.periods)-1]
		s.Period, s.Votes = p.round.ValidAfter, len(p.agree.counted())
	}
	if a.failed != nil {
		s.Problem = a.failed.Error()
	}
	return s
}
