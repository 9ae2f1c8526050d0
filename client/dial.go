package client

import (
	"context"
	"net"

	"tunic/cell"
)

// Dial opens a stream and returns when the destination is connected. It tries
// several circuits and exits where that can help; ctx bounds the whole, and two
// minutes do in any case. The error is an [*Error], the connection a [*Conn].
func (c *Client) Dial(ctx context.Context, r Request) (net.Conn, error) {
	t, err := checkTarget(r, c.netfile.PrivateAddresses)
	if err != nil {
		return nil, err
	}
	trial, ctx, cancel := c.newTrial(ctx, r.Isolation, t.need())
	defer cancel()
	var conn *Conn
	first := &early{from: r.First}
	err = trial.run(ctx, func(ctx context.Context, e *entry) error {
		s, err := c.connect(ctx, e, t, first)
		if err != nil {
			return err
		}
		conn = c.newConn(s, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// connected waits for the exit's answer and judges it.
func (c *Client) connected(ctx context.Context, s stream) error {
	if err := s.WaitConnected(ctx); err != nil {
		return err
	}
	if reply, _ := s.Connected(); c.refused(reply) {
		return &Error{NotAllowed, ErrPrivate}
	}
	return nil
}

// DialContext is Dial for "tcp", "tcp4" and "tcp6", in the form that net/http
// and others take. Its streams share one isolation key.
func (c *Client) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	r, err := parseAddress(network, address)
	if err != nil {
		return nil, err
	}
	return c.Dial(ctx, r)
}

// Resolve has an exit look a name up, or an address (Reverse). It is asked of
// other exits when one has no answer for now. Private addresses are left out
// of the answer unless the network allows them. The error is an [*Error], also
// where there is no such name: then its code is [HostUnreachable].
func (c *Client) Resolve(ctx context.Context, r cell.ResolveRequest, isolation string) (cell.ResolvedReply, error) {
	r, err := checkResolve(r, c.netfile.PrivateAddresses)
	if err != nil {
		return cell.ResolvedReply{}, err
	}
	trial, ctx, cancel := c.newTrial(ctx, isolation, target{}.need())
	defer cancel()
	var reply cell.ResolvedReply
	err = trial.run(ctx, func(ctx context.Context, e *entry) error {
		var err error
		if reply, err = e.circuit.Resolve(ctx, r); err != nil {
			return err
		}
		if reply, err = c.checkAnswers(reply); err != nil {
			return err
		}
		c.release(e)
		return nil
	})
	return reply, err
}
