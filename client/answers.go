package client

import (
	"errors"
	"slices"

	"tunic/cell"
	"tunic/circuit"
	"tunic/directory"
)

// errNotFound is an exit's word that there is no such name.
var errNotFound = errors.New("the name does not exist")

// checkAnswers judges what an exit found. That it found nothing for now is
// another exit's turn, as for a stream; private addresses are left out.
func (c *Client) checkAnswers(r cell.ResolvedReply) (cell.ResolvedReply, error) {
	for _, a := range r.Answers {
		switch a.Kind {
		case cell.AnswerTryAgain:
			return cell.ResolvedReply{}, &circuit.EndError{Reason: cell.EndResolve}
		case cell.AnswerNotFound:
			return cell.ResolvedReply{}, &Error{HostUnreachable, errNotFound}
		}
	}
	if c.netfile.PrivateAddresses {
		return r, nil
	}
	r.Answers = slices.DeleteFunc(r.Answers, func(a cell.Answer) bool { return a.Addr.IsValid() && directory.Private(a.Addr) })
	if len(r.Answers) == 0 {
		return cell.ResolvedReply{}, &Error{NotAllowed, ErrPrivate}
	}
	return r, nil
}
