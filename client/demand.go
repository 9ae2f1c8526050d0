package client

import (
	"slices"
	"time"

	"tunic/client/path"
)

// want returns what the next circuit is to be built for, if one is: first what
// requests wait for and nothing young under way will serve, then the stock of
// unused circuits. Before the first circuit is open it is the stock alone, so
// that a request that nobody can serve does not stand in the way.
func (p *pool) want(now time.Time) (path.Need, bool) {
	if now.Before(p.retryAt) || len(p.entries) >= maxCircuits {
		return path.Need{}, false
	}
	var coming []*entry // under way, and not yet counted on by a waiter
	under := 0
	for _, e := range p.entries {
		if e.stage == building || e.stage == waiting {
			under++
			if now.Sub(e.started) < p.patience() {
				coming = append(coming, e)
			}
		}
	}
	if len(coming) >= maxBuilding || under >= maxUnderWay {
		return path.Need{}, false
	}
	if p.ready {
		n, left, ok := p.unserved(coming)
		if ok {
			return n, true
		}
		coming = left
	}
	if len(coming) >= maxStockBuild || under >= maxUnderWay/2 { // the other half is for those who wait
		return path.Need{}, false
	}
	return p.missing(coming, now)
}

// unserved returns the need of the first waiter that no circuit under way will
// serve, and else what of them is left over.
func (p *pool) unserved(coming []*entry) (path.Need, []*entry, bool) {
	promised := make(map[string][]*entry) // by isolation key
	for _, w := range p.waiters {
		serves := func(e *entry) bool { return path.Serves(e.path[path.Exit], w.need) }
		if slices.ContainsFunc(promised[w.key], serves) {
			continue
		}
		i := slices.IndexFunc(coming, serves)
		if i < 0 {
			return w.need, nil, true
		}
		promised[w.key] = append(promised[w.key], coming[i])
		coming = slices.Delete(coming, i, i+1)
	}
	return path.Need{}, coming, false
}

// missing returns what the stock lacks: circuits for the ports that were used
// lately, and some for anything.
func (p *pool) missing(coming []*entry, now time.Time) (path.Need, bool) {
	stock := coming
	for _, e := range p.entries {
		if e.fresh(now) && !e.claimed && !e.worn {
			stock = append(stock, e)
		}
	}
	if len(stock)-len(coming) >= portCircuits && now.Sub(p.taken) < settleTime {
		return path.Need{}, false // building would slow down what has just begun
	}
	if len(stock) >= maxStock {
		return path.Need{}, false
	}
	for _, port := range p.predicted(now) {
		n := path.Need{Port: port}
		if count(stock, n) < p.ports[port].wanted(now) {
			return n, true
		}
	}
	if len(stock) < minClean && !p.barren[p.general.Port] {
		return p.general, true
	}
	return path.Need{}, false
}

// predicted returns the ports to prepare for, in order.
func (p *pool) predicted(now time.Time) []uint16 {
	var ports []uint16
	for port, d := range p.ports {
		if now.Sub(d.at) < portMemory && !p.barren[port] {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports
}

func count(entries []*entry, n path.Need) (k int) {
	for _, e := range entries {
		if path.Serves(e.path[path.Exit], n) {
			k++
		}
	}
	return k
}

// unservable notes that no path serves a need, until the next consensus. Those
// who wait for it get err; the stock does without.
func (p *pool) unservable(n path.Need, err error) {
	if len(n.NotExit) == 0 && n.Family == path.Either {
		p.barren[n.Port] = true
		if n.Port == p.general.Port {
			p.general = path.Need{} // any exit at all
		}
	}
	if p.ready { // else the next consensus may have more relays
		p.fail(n, err)
	}
}

// renewed makes ready for the paths of another consensus.
func (p *pool) renewed() {
	clear(p.barren)
	p.general = path.Need{Port: generalPort}
	p.failures, p.failing, p.retryAt = 0, time.Time{}, time.Time{}
}

// expire takes circuits out of the pool that are of no more use, and returns
// them to be closed.
func (p *pool) expire(now time.Time) []*entry {
	ready := 0
	for _, e := range p.entries {
		if e.fresh(now) && !e.claimed && !e.worn {
			ready++
		}
	}
	var over []*entry
	for _, e := range p.entries {
		if at, ok := p.end(e, ready); ok && !now.Before(at) {
			over = append(over, e)
		}
	}
	if len(p.entries)-len(over) >= maxCircuits {
		over = append(over, p.idlest(over)...)
	}
	for _, e := range over {
		p.remove(e)
	}
	return over
}

// idlest returns the circuit that has been without use for longest, of those
// that are not over anyway: a full pool makes room for a new key.
func (p *pool) idlest(over []*entry) []*entry {
	var idlest *entry
	for _, e := range p.entries {
		if e.claimed && e.uses == 0 && e.stage == open && (idlest == nil || e.idle.Before(idlest.idle)) && !slices.Contains(over, e) {
			idlest = e
		}
	}
	if idlest == nil {
		return nil
	}
	return []*entry{idlest}
}

// end returns when a circuit is over by its own time, if it is ever. ready is
// the number of unused circuits over the preferred guard.
func (p *pool) end(e *entry, ready int) (time.Time, bool) {
	switch {
	case e.stage == waiting && e.worn: // a better guard is there
		return time.Time{}, true
	case e.stage == waiting:
		return e.opened.Add(maxWaiting), true
	case e.stage != open || e.uses > 0:
		return time.Time{}, false
	case !e.claimed && (e.retired || e.worn && ready >= minClean):
		return time.Time{}, true // at once
	case !e.claimed:
		return e.expires, true
	case e.circuit.Streams() > 0:
		return time.Time{}, false
	case e.retired:
		return e.idle.Add(linger), true
	}
	return latest(e.idle.Add(linger), e.dirtied.Add(maxDirtiness)), true
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// next returns when the pool has to be looked at again, if nothing happens.
func (p *pool) next(now time.Time) time.Time {
	at := now.Add(time.Minute) // streams that end by themselves are noticed here
	sooner := func(t time.Time) {
		if t.After(now) && t.Before(at) {
			at = t
		}
	}
	sooner(p.retryAt)
	sooner(p.taken.Add(settleTime))
	for _, e := range p.entries {
		switch e.stage {
		case building:
			sooner(e.started.Add(p.patience()))
		case waiting:
			sooner(now.Add(time.Second))
		case open:
			if t, ok := p.end(e, 0); ok {
				sooner(t)
			}
		}
	}
	return at
}
