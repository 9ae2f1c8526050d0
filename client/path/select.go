package path

import (
	"math/rand/v2"
	"slices"
	"time"

	"tunic/directory"
)

// maxExitTries is our choice: exits tried with one guard when no middle goes
// with them. Only a network of a handful of relays ever needs a second.
const maxExitTries = 64

// Select draws a path for the need and begins an attempt with its guard. The
// guard is the client's first that can be reached; the exit is drawn among the
// relays that go with it, and the middle among those that go with both. Only
// where no exit goes with a guard does the next one step in, for this path
// alone. The error is a [*NoPathError], or a [*BudgetError] where only the draw
// budget stands in the way. v must be what g was updated with last. Select
// allocates the attempt and nothing else.
func (v *View) Select(g *Guards, n Need, now time.Time, rng *rand.Rand) (Path, *Attempt, error) {
	exits := v.exitWheel(destination{n.Port, n.Family})
	var exit, middle int32
	var last *guard
	s, unfit := g.choose(now, rng, func(s *guard) (ok bool) {
		last = s
		exit, middle, ok = v.complete(s.node, exits, n, rng)
		return ok
	})
	if s == nil {
		return Path{}, nil, v.refusal(g, n, now, rng)
	}
	if s != last { // of several in use at once
		exit, middle, _ = v.complete(s.node, exits, n, rng)
	}
	p := Path{v.nodes[s.node].relay, v.nodes[middle].relay, v.nodes[exit].relay}
	return p, g.begin(s, unfit, now), nil
}

// complete draws an exit that goes with the guard, and a middle that goes with
// both.
func (v *View) complete(guard int32, exits *wheel, n Need, rng *rand.Rand) (exit, middle int32, ok bool) {
	var lonely []int32 // exits that no middle goes with
	for range maxExitTries {
		exit, ok = exits.draw(rng, func(x int32) bool {
			_, bad := v.conflict(guard, x)
			return !bad && !slices.Contains(lonely, x) && (len(n.NotExit) == 0 || !slices.Contains(n.NotExit, v.nodes[x].relay.ID))
		})
		if !ok {
			return 0, 0, false
		}
		middle, ok = v.middles.draw(rng, func(m int32) bool {
			_, bad := v.conflict(guard, m)
			_, worse := v.conflict(exit, m)
			return !bad && !worse && (len(n.NotMiddle) == 0 || !slices.Contains(n.NotMiddle, v.nodes[m].relay.ID))
		})
		if ok {
			return exit, middle, true
		}
		lonely = append(lonely, exit)
	}
	return 0, 0, false
}

// refusal says why there is no path: because only a guard that the draw budget
// does not allow has one, or else by which rule.
func (v *View) refusal(g *Guards, n Need, now time.Time, rng *rand.Rand) error {
	exits := v.exitWheel(destination{n.Port, n.Family})
	held := g.first(func(s *guard) bool {
		if g.may(s, now) {
			return false
		}
		_, _, ok := v.complete(s.node, exits, n, rng)
		return ok
	})
	if held != nil {
		return &BudgetError{g.renewal(held, now)}
	}
	return v.explain(g, n)
}

// explain says which rule leaves no relay for which position. With several
// guards it speaks of the one that gets furthest.
func (v *View) explain(g *Guards, n Need) *NoPathError {
	c := counter{v: v, left: v.running()}
	c.note(RuleRunning)
	c.keep(RuleFlag, func(x int32) bool { return v.nodes[x].relay.Flags.Has(directory.Guard) })
	c.keep(RuleShare, v.mayGuard)
	best := &NoPathError{Position: Guard, Left: c.counts}
	for s := range g.ranked {
		if e := v.explainExit(s.node, n); e.Position > best.Position || e.Position == best.Position && len(e.Left) > len(best.Left) {
			best = e
		}
	}
	return best
}

// explainExit counts the exits that go with a guard, rule by rule; if some are
// left, the middles that go with the guard and one of them.
func (v *View) explainExit(guard int32, n Need) *NoPathError {
	c := counter{v: v, left: v.running()}
	c.note(RuleRunning)
	c.keep(RuleFlag, func(x int32) bool { return exits(v.nodes[x].relay) })
	c.keep(RuleShare, func(x int32) bool { return v.nodes[x].shares[directory.AsExit] > 0 })
	c.keep(RulePort, func(x int32) bool { return serves(v.nodes[x].relay, destination{n.Port, n.Family}) })
	c.keep(RuleAvoid, func(x int32) bool { return !slices.Contains(n.NotExit, v.nodes[x].relay.ID) })
	c.apart(guard)
	if len(c.left) == 0 {
		return &NoPathError{Position: Exit, Left: c.counts}
	}
	best := new(NoPathError)
	for _, exit := range c.left[:min(len(c.left), maxExitTries)] {
		m := counter{v: v, left: v.running()}
		m.note(RuleRunning)
		m.keep(RuleShare, func(x int32) bool { return v.nodes[x].shares[directory.AsMiddle] > 0 })
		m.apart(guard, exit)
		if len(m.counts) > len(best.Left) {
			best = &NoPathError{Position: Middle, Left: m.counts}
		}
	}
	return best
}

func (v *View) running() []int32 {
	var all []int32
	for i := range v.nodes {
		if v.nodes[i].running {
			all = append(all, int32(i))
		}
	}
	return all
}

// A counter applies one rule after another, until none is left.
type counter struct {
	v      *View
	left   []int32
	counts []Count
	done   bool
}

func (c *counter) note(r Rule) {
	c.counts = append(c.counts, Count{r, len(c.left)})
	c.done = len(c.left) == 0
}

func (c *counter) keep(r Rule, ok func(int32) bool) {
	if c.done {
		return
	}
	c.left = slices.DeleteFunc(c.left, func(x int32) bool { return !ok(x) })
	c.note(r)
}

// apart applies the rules that hold between relays of one path.
func (c *counter) apart(others ...int32) {
	for _, rule := range apartRules {
		c.keep(rule, func(x int32) bool {
			return !slices.ContainsFunc(others, func(o int32) bool {
				r, bad := c.v.conflict(x, o)
				return bad && r == rule
			})
		})
	}
}
