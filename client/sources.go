package client

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"syscall"
	"time"

	"tunic/cell/link"
	"tunic/directory/mirror"
)

// A sourcesError says why none of those who were asked sent a consensus. It has
// no addresses.
type sourcesError struct {
	errs []error // one for each that was asked
}

// Error names each reason once, with how often it was met, the most frequent
// one first.
func (e *sourcesError) Error() string {
	met := make(map[string]int)
	for _, err := range e.errs {
		met[plainReason(err)]++
	}
	reasons := slices.SortedFunc(maps.Keys(met), func(a, b string) int {
		return cmp.Or(cmp.Compare(met[b], met[a]), cmp.Compare(a, b))
	})
	if len(reasons) > 1 {
		for i, r := range reasons {
			reasons[i] = fmt.Sprintf("%s (%d)", r, met[r])
		}
	}
	return fmt.Sprintf("no consensus from the %d mirrors and authorities that were asked: %s", len(e.errs), strings.Join(reasons, ", "))
}

// Unwrap returns what each said.
func (e *sourcesError) Unwrap() []error { return e.errs }

// news reports whether anybody was dialled: for a while after a failed dial the
// link pool only says that it failed.
func (e *sourcesError) news() bool {
	return slices.ContainsFunc(e.errs, func(err error) bool { return !errors.Is(err, link.ErrDialFailed) })
}

// busyFor returns how long those who were asked want to be left alone: the shortest
// time that one named, 0 where one failed in another way, since a further attempt
// may find that one well again.
func busyFor(err error) time.Duration {
	errs := []error{err}
	if s, ok := errors.AsType[*sourcesError](err); ok {
		errs = s.errs
	}
	least := time.Duration(math.MaxInt64)
	for _, err := range errs {
		busy, ok := errors.AsType[*mirror.BusyError](err)
		if !ok {
			return 0
		}
		least = min(least, busy.RetryAfter)
	}
	return least
}

// plainReason is what a person needs to know of an error.
func plainReason(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if g, ok := errors.AsType[*guardError](err); ok {
		return g.err.Error()
	}
	return err.Error()
}
