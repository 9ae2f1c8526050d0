package client

import (
	"context"
	"time"

	"tunic/cell/link"
	"tunic/directory"
)

const ( // fixed by docs/protocol.md, "Clients"
	bootstrapMirrors = 3               // fallback mirrors asked on a first start
	authoritiesAfter = 6 * time.Second // before an authority is asked beside them
)

// nextSource is our choice: before the next source is asked as well, if the
// last has not answered.
const nextSource = 2 * time.Second

// A race asks several sources for the consensus: mirrors one after another, and
// authorities when all mirrors have failed or after a while. The next source
// begins when the last has failed or is slow; the first good answer wins.
type race struct {
	ask         func(context.Context, link.Target) (*directory.Bundle, error)
	start       func(func()) // starts a goroutine that its owner waits for
	mirrors     []link.Target
	authorities []link.Target

	pending int
	slow    *time.Ticker // begins anew with every source
	answers chan answer
	errs    []error
}

type answer struct {
	b   *directory.Bundle
	err error
}

// run returns the first good answer, or every source's error. The sources that
// are still being asked when it returns have been told to stop.
func (r *race) run(ctx context.Context) (*directory.Bundle, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.answers = make(chan answer, len(r.mirrors)+len(r.authorities)) // room for all: nobody waits to answer
	late := time.NewTimer(authoritiesAfter)
	defer late.Stop()
	r.slow = time.NewTicker(nextSource)
	defer r.slow.Stop()
	turn := len(r.mirrors) == 0 // the authorities'
	for {
		if r.pending == 0 && !r.next(ctx, &r.mirrors) {
			turn = true
			if !r.next(ctx, &r.authorities) {
				return nil, &sourcesError{r.errs}
			}
		}
		select {
		case a := <-r.answers:
			if r.pending--; a.err == nil {
				return a.b, nil
			}
			r.errs = append(r.errs, a.err)
		case <-late.C:
			turn = true
			r.next(ctx, &r.authorities)
		case <-r.slow.C:
			if !r.next(ctx, &r.mirrors) && turn {
				r.next(ctx, &r.authorities)
			}
		}
	}
}

// next asks the first of a list, if there is one.
func (r *race) next(ctx context.Context, list *[]link.Target) bool {
	if len(*list) == 0 {
		return false
	}
	t := (*list)[0]
	*list = (*list)[1:]
	r.pending++
	r.slow.Reset(nextSource)
	r.start(func() { // ends with ctx, at the latest
		b, err := r.ask(ctx, t)
		r.answers <- answer{b, err}
	})
	return true
}
