package directory

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"tunic/directory/keys"
)

const ( // fixed by docs/protocol.md, "Consensus"; bytes
	// MaxConsensus is the most bytes of a consensus document.
	MaxConsensus = 32 << 20
	// MaxMethod is the greatest number of a consensus method.
	MaxMethod = MaxVersion
	// MaxRelaxed is the most relaxations that a consensus names.
	MaxRelaxed = 8
)

// A Consensus is what the authorities agreed on for one period. It is not
// changed once made.
type Consensus struct {
	Method     uint8  // by which it was computed from the votes
	Network    string // the network's name
	NetworkID  Digest
	ValidAfter time.Time
	FreshUntil time.Time
	ValidUntil time.Time
	Previous   Digest    // of the consensus before it, zero if none
	Votes      []VoteRef // ascending by author
	Params     []Param   // ascending by name
	Weights    PositionWeights
	Relaxed    []string // which rules are relaxed in this network, see package rules; ascending
	Random     Digest   // the shared random value of the day, zero if none yet
	Relays     []Relay  // ascending by ID
}

// A VoteRef names a vote that the consensus was computed from.
type VoteRef struct {
	Author keys.RelayID
	Digest Digest
}

// Encode returns the consensus as a document. Times are cut to milliseconds.
func (c *Consensus) Encode() ([]byte, error) {
	if len(c.Relays) > MaxRelays {
		return nil, fmt.Errorf("encode consensus of %d relays: %w", len(c.Relays), ErrTooLarge)
	}
	w := &writer{b: make([]byte, 0, 4096+len(c.Relays)*384)}
	c.encodeHead(w)
	var last keys.RelayID
	for i := range c.Relays {
		r := &c.Relays[i]
		if i > 0 && CompareID(last, r.ID) >= 0 {
			w.fail("order of relays")
		}
		last = r.ID
		r.encodeHead(w)
		r.encodeFacts(w)
		r.encodeStanding(w)
		r.encodeOutcome(w)
	}
	if w.err == nil && len(w.b) > MaxConsensus {
		return nil, fmt.Errorf("encode consensus of %d bytes: %w", len(w.b), ErrTooLarge)
	}
	return w.b, w.err
}

func (c *Consensus) encodeHead(w *writer) {
	if !isName(c.Network, maxNetworkName, "-._") || c.Method < 1 || c.Method > MaxMethod {
		w.fail("network or method")
	}
	w.keyword("tunic-consensus 1").end()
	w.keyword("method").uint(uint64(c.Method), MaxMethod, "method").end()
	w.keyword("network").text(c.Network).binary(c.NetworkID[:]).end()
	w.keyword("valid-after").time(c.ValidAfter, timeLayout, "valid-after").end()
	w.keyword("fresh-until").time(c.FreshUntil, timeLayout, "fresh-until").end()
	w.keyword("valid-until").time(c.ValidUntil, timeLayout, "valid-until").end()
	w.keyword("previous").digest(c.Previous).end()
	w.keyword("random").digest(c.Random).end()
	if len(c.Votes) > MaxAuthorities || !strictly(c.Votes, compareVotes) {
		w.fail("votes")
	}
	for _, v := range c.Votes {
		w.keyword("vote").binary(v.Author[:]).binary(v.Digest[:]).end()
	}
	encodeParams(w, c.Params)
	c.encodeRelaxed(w)
	if p := &c.Weights; !p.IsZero() {
		w.keyword("weights")
		for _, n := range p.fields() {
			w.uint(uint64(*n), WeightScale, "weights")
		}
		w.end()
	}
	w.keyword("relays").uint(uint64(len(c.Relays)), MaxRelays, "relays").end()
}

func (c *Consensus) encodeRelaxed(w *writer) {
	if len(c.Relaxed) == 0 {
		return
	}
	if len(c.Relaxed) > MaxRelaxed || !strictly(c.Relaxed, strings.Compare) {
		w.fail("relaxed")
	}
	w.keyword("relaxed")
	for _, name := range c.Relaxed {
		if !IsCode(name) {
			w.fail("relaxed")
		}
		w.text(name)
	}
	w.end()
}

// readRelaxed reads what encodeRelaxed writes.
func (c *Consensus) readRelaxed(r *reader) {
	if !r.at("relaxed") {
		return
	}
	for rest, more := r.take("relaxed"), true; more; {
		var name string
		name, rest, more = strings.Cut(rest, " ")
		if !IsCode(name) || len(c.Relaxed) == MaxRelaxed {
			r.fail("relaxed")
			return
		}
		c.Relaxed = append(c.Relaxed, cloned(name))
	}
	if !strictly(c.Relaxed, strings.Compare) {
		r.fail("relaxed")
	}
}

func compareVotes(a, b VoteRef) int { return CompareID(a.Author, b.Author) }

// fields returns the weights in the order of the document.
func (w *PositionWeights) fields() [7]*uint32 {
	return [...]*uint32{&w.Wgg, &w.Wmg, &w.Wee, &w.Wme, &w.Wgd, &w.Wmd, &w.Wed}
}

// ParseConsensus reads a consensus. It is not signed by itself: OpenBundle
// verifies before it parses.
func ParseConsensus(b []byte) (*Consensus, error) {
	if len(b) > MaxConsensus {
		return nil, fmt.Errorf("consensus of %d bytes: %w", len(b), ErrTooLarge)
	}
	r := &reader{rest: string(b)}
	c := &Consensus{}
	n := c.readHead(r)
	c.Relays = make([]Relay, 0, min(n, len(r.rest)/minEntry))
	for len(c.Relays) < n && r.err == nil {
		c.Relays = append(c.Relays, Relay{})
		e := &c.Relays[len(c.Relays)-1]
		e.readHead(r)
		e.readFacts(r)
		e.readStanding(r)
		e.readOutcome(r)
		if n := len(c.Relays); n > 1 && CompareID(c.Relays[n-2].ID, e.ID) >= 0 {
			r.fail("order of relays")
		}
	}
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("consensus: %w", err)
	}
	return c, nil
}

// minEntry is less than the shortest entry of a relay, bytes: it bounds what a
// count of relays can make a parser allocate.
const minEntry = 190

func (c *Consensus) readHead(r *reader) (relays int) {
	if r.take("tunic-consensus") != "1" {
		r.fail("version")
	}
	c.Method = uint8(r.uint(r.take("method"), MaxMethod, "method"))
	name, id := r.two(r.take("network"), "network")
	if !isName(name, maxNetworkName, "-._") || c.Method == 0 {
		r.fail("network or method")
	}
	c.Network = cloned(name)
	r.binary(c.NetworkID[:], id, "network")
	c.ValidAfter = r.time(r.take("valid-after"), "valid-after")
	c.FreshUntil = r.time(r.take("fresh-until"), "fresh-until")
	c.ValidUntil = r.time(r.take("valid-until"), "valid-until")
	c.Previous = r.digest(r.take("previous"), "previous")
	c.Random = r.digest(r.take("random"), "random")
	for r.at("vote") {
		var v VoteRef
		author, digest := r.two(r.take("vote"), "vote")
		r.binary(v.Author[:], author, "vote")
		r.binary(v.Digest[:], digest, "vote")
		c.Votes = append(c.Votes, v)
		if len(c.Votes) > MaxAuthorities || !strictly(c.Votes[max(0, len(c.Votes)-2):], compareVotes) {
			r.fail("vote")
		}
	}
	c.Params = readParams(r)
	c.readRelaxed(r)
	if r.at("weights") {
		fields := r.split(r.take("weights"), 7, "weights")
		for i, n := range c.Weights.fields() {
			*n = uint32(r.uint(fields[i], WeightScale, "weights"))
		}
		if c.Weights.IsZero() {
			r.fail("weights")
		}
	}
	return int(r.uint(r.take("relays"), MaxRelays, "relays"))
}

// Relay returns the entry of the relay with that identity, nil if there is none.
func (c *Consensus) Relay(id keys.RelayID) *Relay {
	i := sort.Search(len(c.Relays), func(i int) bool { return CompareID(c.Relays[i].ID, id) >= 0 })
	if i == len(c.Relays) || c.Relays[i].ID != id {
		return nil
	}
	return &c.Relays[i]
}
