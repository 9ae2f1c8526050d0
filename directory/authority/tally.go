package authority

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/admission/lottery"
	"tunic/directory/admission/weigh"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// Methods are the consensus methods that this version computes.
const Methods directory.Versions = 1 << 2

const minMeasurements = 3 // fixed by docs/protocol.md, "Counting": below, one measurer could decide

// Errors of a tally.
var (
	ErrFewVotes = errors.New("too few votes")                        // not more than half of the authorities
	ErrMethod   = errors.New("no consensus method that all support") // or none that this version computes
)

// A Result is what a tally makes of a set of votes.
type Result struct {
	Consensus *directory.Consensus
	Previous  *directory.History // the newest among the votes, nil if none has any
	Draw      directory.Draw     // what every authority knows of the shared random values from now on
	Over      []Over             // relays that no majority refused, and that yet are too many
	Weights   weigh.Result       // how the shares came about, in the order of the consensus's relays
}

// An Over is a relay that the limits of admission keep out of a consensus.
type Over struct {
	ID   keys.RelayID
	Rule string
}

// Tally computes the consensus of round r from the counted votes, by the method
// that docs/protocol.md, "Counting", lays down: the same votes, in whatever
// order, give the same consensus at every authority. It keeps nothing of votes
// and changes nothing in them.
func Tally(n *directory.Network, r directory.Round, votes []*directory.Vote) (*Result, error) {
	votes, err := sortVotes(n, r, votes)
	if err != nil {
		return nil, err
	}
	method, err := commonMethod(n, votes)
	if err != nil {
		return nil, err
	}
	c := &directory.Consensus{
		Method:     method,
		Network:    n.Name,
		NetworkID:  n.Digest(),
		ValidAfter: r.ValidAfter,
		FreshUntil: r.FreshUntil,
		ValidUntil: r.ValidUntil,
		Params:     tallyParams(n, votes),
	}
	for _, v := range votes {
		c.Votes = append(c.Votes, directory.VoteRef{Author: v.Author, Digest: v.Digest()})
	}
	res := &Result{Consensus: c, Previous: newestHistory(n, r.ValidAfter, votes), Draw: tallyDraw(n, r.ValidAfter, votes)}
	c.Random = res.Draw.Value
	if res.Previous != nil {
		c.Previous = res.Previous.Signed.Checkpoint.Digest
	}
	res.decide(n, votes)
	return res, nil
}

// decide fills in the relays: who is listed by a majority and fits the limits,
// who vouched for whom, and what share each gets.
func (res *Result) decide(n *directory.Network, votes []*directory.Vote) {
	c := res.Consensus
	relays := tallyRelays(n, c.ValidAfter, votes)
	c.Relaxed = rules.Relaxed(n, c.Params, len(relays), c.ValidAfter)
	r := rulesAt(n, c.Params, c.Relaxed, len(relays), c.ValidAfter)
	relays, res.Over = withinLimits(relays, r, c.Random)
	relays = heaviest(relays, directory.MaxRelays)
	r = rulesAt(n, c.Params, c.Relaxed, len(relays), c.ValidAfter) // caps go by who is left
	today := dayNumber(c.ValidAfter)
	letIn := admission.Vouched(admissionOf(relays, today), tallyVouchers(n, votes, relays), today, tallyFindings(n, votes), r)
	for i := range relays {
		relays[i].Voucher = letIn[relays[i].ID]
	}
	res.Weights = weigh.Explain(admissionOf(relays, today), r, today)
	c.Relays, c.Weights = relays, res.Weights.Weights
	for i := range relays {
		relays[i].Shares = res.Weights.Shares[i]
	}
}

func tallyDraw(n *directory.Network, validAfter time.Time, votes []*directory.Vote) directory.Draw {
	ballots := make([]lottery.Ballot, len(votes))
	for i, v := range votes {
		ballots[i] = lottery.Ballot{Author: v.Author, Draw: v.Draw}
	}
	return lottery.Agree(n, validAfter, ballots)
}

// sortVotes returns the votes in the order of their authors, each author once,
// all for round r, by more than half of the authorities.
func sortVotes(n *directory.Network, r directory.Round, votes []*directory.Vote) ([]*directory.Vote, error) {
	network := n.Digest()
	for _, v := range votes {
		switch {
		case v.Network != network:
			return nil, fmt.Errorf("vote: %w", directory.ErrOtherNetwork)
		case !v.ValidAfter.Equal(r.ValidAfter):
			return nil, fmt.Errorf("vote: %w", directory.ErrOtherPeriod)
		case n.Authority(v.Author) == nil:
			return nil, fmt.Errorf("vote: %w", directory.ErrUnknown)
		}
	}
	sorted := slices.Clone(votes)
	slices.SortFunc(sorted, func(a, b *directory.Vote) int { return directory.CompareID(a.Author, b.Author) })
	for i := 1; i < len(sorted); i++ {
		if sorted[i].Author == sorted[i-1].Author {
			return nil, errors.New("two votes of one author in a tally")
		}
	}
	if len(sorted) < n.Majority() {
		return nil, fmt.Errorf("%w: %d of %d", ErrFewVotes, len(sorted), len(n.Authorities))
	}
	return sorted, nil
}

// commonMethod returns the highest method that more than half of all
// authorities support.
func commonMethod(n *directory.Network, votes []*directory.Vote) (uint8, error) {
	for m := uint8(directory.MaxVersion); m > 0; m-- {
		count := 0
		for _, v := range votes {
			if v.Methods.Has(m) {
				count++
			}
		}
		if count < n.Majority() {
			continue
		}
		if !Methods.Has(m) {
			return 0, fmt.Errorf("%w: method %d is newer than this version", ErrMethod, m)
		}
		return m, nil
	}
	return 0, ErrMethod
}

// newestHistory returns the newest majority-signed checkpoint among the votes
// that is older than the period voted for. Which of two for the same time wins
// is arbitrary, but the same everywhere.
func newestHistory(n *directory.Network, before time.Time, votes []*directory.Vote) *directory.History {
	var found []*directory.History
	for _, v := range votes {
		if v.Previous != nil && v.Previous.Signed.Checkpoint.ValidAfter.Before(before) {
			found = append(found, v.Previous)
		}
	}
	slices.SortStableFunc(found, func(a, b *directory.History) int {
		x, y := &a.Signed.Checkpoint, &b.Signed.Checkpoint
		return cmp.Or(y.ValidAfter.Compare(x.ValidAfter), cmp.Compare(y.Size, x.Size), cmp.Compare(x.Text(), y.Text()))
	})
	for _, h := range found { // verifying is the dear part: the newest first
		if h.Verify(n) == nil {
			return h
		}
	}
	return nil
}

// tallyParams keeps the parameters that more than half of all authorities vote
// on, with the low median of their values, in the order of their names.
func tallyParams(n *directory.Network, votes []*directory.Vote) []directory.Param {
	values := make(map[string][]int64)
	for _, v := range votes {
		for _, p := range v.Params {
			values[p.Name] = append(values[p.Name], p.Value)
		}
	}
	var params []directory.Param
	for name, list := range values {
		if len(list) >= n.Majority() {
			params = append(params, directory.Param{Name: name, Value: lowMedian(list)})
		}
	}
	slices.SortFunc(params, func(a, b directory.Param) int { return cmp.Compare(a.Name, b.Name) })
	return params
}

// lowMedian returns the median of list, of two in the middle the smaller. It
// sorts list, which is not empty.
func lowMedian[T cmp.Ordered](list []T) T {
	slices.Sort(list)
	return list[(len(list)-1)/2]
}
