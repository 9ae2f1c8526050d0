package client

import (
	"errors"
	"fmt"
	"sync"
)

// A Phase is how far a client has come in getting ready.
type Phase uint8

// The phases, in their order. Those of fetching the consensus are left out by a
// client that has a usable one on disk.
const (
	Starting       Phase = iota
	DialDirectory        // connecting to a mirror or an authority
	FetchConsensus       // connected, asking for the consensus
	HaveConsensus        // verified and usable
	DialGuard            // connecting to a guard
	BuildCircuit         // the first hop is open, the others follow
	Ready                // a circuit is open
	Closed
)

var phases = [...]struct {
	name    string
	percent int
}{
	{"starting", 0}, {"connecting to the directory", 10}, {"fetching the consensus", 25}, {"have the consensus", 50},
	{"connecting to a guard", 60}, {"building a circuit", 80}, {"ready", 100}, {"closed", 0},
}

func (p Phase) String() string {
	if int(p) < len(phases) {
		return phases[p].name
	}
	return fmt.Sprintf("phase %d", uint8(p))
}

// Percent returns the phase as progress towards [Ready].
func (p Phase) Percent() int {
	if int(p) < len(phases) {
		return phases[p].percent
	}
	return 0
}

// MarshalText returns the phase's name, for status output.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (p *Phase) UnmarshalText(b []byte) error {
	for i := range phases {
		if phases[i].name == string(b) {
			*p = Phase(i)
			return nil
		}
	}
	return errors.New("unknown phase")
}

// An Event is one step of progress, or one thing that stands in its way.
type Event struct {
	Phase   Phase
	Problem error // nil for plain progress; its text has no addresses
}

// maxEvents is our choice: events that wait for a slow Config.Notify; the
// oldest is dropped.
const maxEvents = 64

// progress keeps how far the client has come, and tells whoever asked.
type progress struct {
	notify func(Event) // may be nil

	mu      sync.Mutex // guards what follows
	phase   Phase
	problem string
	queue   []Event
	wake    chan struct{} // has room for one

	ready chan struct{} // closed when phase is first Ready
}

func newProgress(notify func(Event)) *progress {
	return &progress{notify: notify, wake: make(chan struct{}, 1), ready: make(chan struct{})}
}

// reach notes that a phase is reached. Earlier ones do not come back, except
// that Closed ends all.
func (p *progress) reach(phase Phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if phase <= p.phase {
		return
	}
	p.phase, p.problem = phase, ""
	if phase == Ready {
		close(p.ready)
	}
	p.push(Event{Phase: phase})
}

// trouble notes what stands in the way; the same twice is told once.
func (p *progress) trouble(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if text := err.Error(); text != p.problem {
		p.problem = text
		p.push(Event{Phase: p.phase, Problem: err})
	}
}

// well notes that nothing stands in the way any more.
func (p *progress) well() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problem = ""
}

// now returns how far the client has come, and what stands in the way.
func (p *progress) now() (Phase, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.phase, p.problem
}

// push is called with mu held.
func (p *progress) push(e Event) {
	if p.notify == nil {
		return
	}
	if len(p.queue) >= maxEvents {
		p.queue = p.queue[1:]
	}
	p.queue = append(p.queue, e)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run tells the events until done is closed and none is left.
func (p *progress) run(done <-chan struct{}) {
	for {
		p.mu.Lock()
		queue := p.queue
		p.queue = nil
		p.mu.Unlock()
		for _, e := range queue {
			p.notify(e)
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-p.wake:
		case <-done:
			select {
			case <-p.wake: // pushed before done was closed
			default:
				return
			}
		}
	}
}
