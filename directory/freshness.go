package directory

import (
	"fmt"
	"time"
)

// Usable says whether a client may use the consensus at now. The error has
// ErrOtherNetwork, ErrFuture or ErrExpired in its chain. warn: it has expired,
// but within the grace of 24 further periods. A clock that is wrong by less
// than a period does not make a consensus one from the future.
func (c *Consensus) Usable(n *Network, now time.Time) (warn bool, err error) {
	switch end := c.ValidUntil.Add(gracePeriods * n.Timing.Period); {
	case c.NetworkID != n.Digest():
		return false, fmt.Errorf("consensus: %w", ErrOtherNetwork)
	case now.Add(n.Timing.Period).Before(c.ValidAfter):
		return false, fmt.Errorf("consensus valid from %s on: %w", FormatTime(c.ValidAfter), ErrFuture)
	case !now.Before(end):
		return false, fmt.Errorf("consensus valid until %s, usable until %s: %w",
			FormatTime(c.ValidUntil), FormatTime(end), ErrExpired)
	}
	return !now.Before(c.ValidUntil), nil
}

// checkTimes says whether the consensus's times are those of the network's
// timeline.
func (c *Consensus) checkTimes(n *Network) error {
	r, ok := n.RoundOf(c.ValidAfter)
	if !ok || !c.FreshUntil.Equal(r.FreshUntil) || !c.ValidUntil.Equal(r.ValidUntil) {
		return fmt.Errorf("%w: times are not on the network's timeline", ErrMalformed)
	}
	return nil
}
