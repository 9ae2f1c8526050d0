package link

import "context"

// take waits until lim lets n bytes through, a burst at a time. The error is ctx's:
// a limiter whose burst shrinks in between is asked again, and one that refuses for
// reasons of its own does not stop the link.
func take(ctx context.Context, lim Limiter, n int) error {
	if lim == nil {
		return nil
	}
	refusals := 0
	for n > 0 {
		k := n
		if burst := lim.Burst(); burst > 0 {
			k = min(n, burst)
		}
		if err := lim.WaitN(ctx, k); err == nil {
			n -= k
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if refusals++; refusals > maxRefusals {
			return nil
		}
	}
	return nil
}

const maxRefusals = 3 // our choice: of a limiter, for one record
