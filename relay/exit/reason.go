package exit

import (
	"context"
	"errors"
	"net"
	"slices"

	"tunic/cell"
)

// refusal is an error that already is a reason.
type refusal cell.EndReason

func (r refusal) Error() string { return cell.EndReason(r).String() }

// weight orders the reasons of several attempts for one stream: the earlier
// says more about the destination and is the one told.
var weight = []cell.EndReason{cell.EndRefused, cell.EndReset, cell.EndTimeout, cell.EndNoRoute,
	cell.EndResource, cell.EndPolicy, cell.EndResolve, cell.EndHibernating, cell.EndInternal}

// tell returns that of two reasons which is told; 0 is none.
func tell(a, b cell.EndReason) cell.EndReason {
	ia, ib := slices.Index(weight, a), slices.Index(weight, b)
	if ib >= 0 && (ia < 0 || ib < ia) {
		return b
	}
	return a
}

// reasonOf maps what a dial or a connection said to the one reason that is sent
// back; the error's own text holds the destination and goes no further.
func reasonOf(err error) cell.EndReason {
	var own refusal
	var ne net.Error
	switch {
	case errors.As(err, &own):
		return cell.EndReason(own)
	case isAny(err, refusedErrors):
		return cell.EndRefused
	case isAny(err, resetErrors):
		return cell.EndReset
	case isAny(err, routeErrors):
		return cell.EndNoRoute
	case isAny(err, forbiddenErrors):
		return cell.EndPolicy
	case isAny(err, resourceErrors):
		return cell.EndResource
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return cell.EndTimeout
	}
	return cell.EndInternal
}

// Reason says why a connection to a destination broke, from the error of a read
// or a write on it.
func Reason(err error) cell.EndReason {
	if r := reasonOf(err); r == cell.EndReset || r == cell.EndTimeout || r == cell.EndNoRoute {
		return r
	}
	if isAny(err, brokenErrors) {
		return cell.EndReset
	}
	return cell.EndMisc
}

// Broken reports whether err of a read or a write says that the destination broke
// the connection, and whether it may have ended its own direction before that.
func Broken(err error) (broke, mayHaveEnded bool) {
	mayHaveEnded = isAny(err, brokenErrors)
	return mayHaveEnded || isAny(err, resetErrors), mayHaveEnded
}

// resolveReason maps what a lookup failed with.
func resolveReason(err error) cell.EndReason {
	if errors.Is(err, errBusy) {
		return cell.EndResource
	}
	return cell.EndResolve
}

func isAny(err error, targets []error) bool {
	return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
}
