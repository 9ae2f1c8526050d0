package circuit

import (
	"context"
	"errors"
	"fmt"

	"tunic/cell"
)

// errAnswerTimeout is why waiting for an exit's answer ends.
var errAnswerTimeout = errors.New("no answer from the exit in time")

// Begin opens a stream to host and port and returns at once: what is written
// travels behind the request and reaches the destination as soon as it is
// connected. [Stream.WaitConnected] tells whether it was. The error is
// [ErrTooManyStreams], [ErrBusy], [ErrNotAllowed], the circuit's, or that the
// host or port cannot be asked for.
func (c *Circuit) Begin(host string, port uint16, flags cell.BeginFlags) (*Stream, error) {
	return c.BeginWith(context.Background(), host, port, flags, nil)
}

// BeginWith is Begin and Write of first in one: as far as the circuit's window
// allows both leave in one record. For the rest it waits, 60 s at most: when that
// time or ctx ends, the stream is given up and the error is the reason.
func (c *Circuit) BeginWith(ctx context.Context, host string, port uint16, flags cell.BeginFlags, first []byte) (*Stream, error) {
	if c.forDir {
		return nil, ErrNotAllowed
	}
	data, err := cell.BeginRequest{Flags: flags, Host: host, Port: port}.AppendBinary(nil)
	if err != nil {
		return nil, fmt.Errorf("begin stream: %w", err)
	}
	return c.begin(ctx, cell.Begin, data, first)
}

// Dial is Begin and waits until the exit is connected. An error that is an
// [*EndError] is the exit's, about the destination. It waits 60 s at most.
func (c *Circuit) Dial(ctx context.Context, host string, port uint16, flags cell.BeginFlags) (*Stream, error) {
	s, err := c.Begin(host, port, flags)
	if err != nil {
		return nil, err
	}
	return s.dialled(ctx)
}

// BeginDir opens a stream to the directory of the last hop and returns at once, as
// Begin does: a request that is written to it costs one round trip, not two.
func (c *Circuit) BeginDir() (*Stream, error) {
	return c.begin(context.Background(), cell.BeginDir, nil, nil)
}

// DialDir is BeginDir and waits until the directory has taken the stream.
func (c *Circuit) DialDir(ctx context.Context) (*Stream, error) {
	s, err := c.BeginDir()
	if err != nil {
		return nil, err
	}
	return s.dialled(ctx)
}

// begin asks the last hop for a stream, and sends first on it.
func (c *Circuit) begin(ctx context.Context, cmd cell.RelayCommand, data, first []byte) (*Stream, error) {
	s := newStream(&c.end)
	s.circ = c
	if err := c.table.choose(entry{stream: s}, func(id cell.StreamID) { s.id = id }); err != nil {
		return nil, err
	}
	n, err := c.sendBegin(s, cmd, data, first)
	s.batch.Flush()
	if err != nil {
		c.check(err)
		return nil, err
	}
	if err := s.writeEarly(ctx, first[n:]); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// writeEarly is Write for as long as ctx and an exit's answer may last: a window that
// is full may stay so. The stream is closed when that time ends.
func (s *Stream) writeEarly(ctx context.Context, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errAnswerTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { s.Close() })
	_, err := s.Write(p)
	if !stop() { // ctx ended first: what Write says is only the consequence
		return context.Cause(ctx)
	}
	return err
}

// sendBegin queues the request for s and as much of first as can go at once.
func (c *Circuit) sendBegin(s *Stream, cmd cell.RelayCommand, data, first []byte) (n int, err error) {
	t := &c.tx
	request := cell.NewSlot()
	cell.PutMessage(request.Message(), cmd, s.id, data)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.push(request, t.command(), &s.batch); err != nil {
		return 0, err
	}
	if len(first) == 0 || len(t.waiting) > 0 || t.turn != nil || t.window.Room() == 0 {
		return 0, nil
	}
	s.sent.Store(true)
	n, err = t.data(s.id, first, &s.batch)
	s.tx.flow.data(n)
	return n, err
}

// dialled waits until s is connected, and closes it if it is not.
func (s *Stream) dialled(ctx context.Context) (*Stream, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errAnswerTimeout)
	defer cancel()
	if err := s.WaitConnected(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("open stream: %w", err)
	}
	return s, nil
}

// A lookup is a RESOLVE that waits for its answer. At a relay it is only a mark.
type lookup struct {
	reply chan cell.ResolvedReply // takes one
	gone  chan error              // takes one
}

func (l *lookup) answer(r cell.ResolvedReply) {
	if l.reply != nil {
		l.reply <- r
	}
}

// fail says that the circuit is gone.
func (l *lookup) fail(err error) {
	if l.gone != nil {
		l.gone <- err
	}
}

// Resolve asks the last hop for the addresses of a name, or the name of an
// address. That there is no answer is an answer: see [cell.AnswerKind]. It waits
// 60 s at most.
func (c *Circuit) Resolve(ctx context.Context, req cell.ResolveRequest) (cell.ResolvedReply, error) {
	if c.forDir {
		return cell.ResolvedReply{}, ErrNotAllowed
	}
	data, err := req.AppendBinary(nil)
	if err != nil {
		return cell.ResolvedReply{}, fmt.Errorf("resolve: %w", err)
	}
	l := &lookup{reply: make(chan cell.ResolvedReply, 1), gone: make(chan error, 1)}
	var id cell.StreamID
	if err := c.table.choose(entry{lookup: l}, func(chosen cell.StreamID) { id = chosen }); err != nil {
		return cell.ResolvedReply{}, err
	}
	if err := c.send(cell.Resolve, id, data, nil); err != nil {
		c.check(err)
		return cell.ResolvedReply{}, err
	}
	return l.await(ctx)
}

// await waits for the answer. Who gives up leaves the id in the table: it is free
// when the answer has come.
func (l *lookup) await(ctx context.Context) (cell.ResolvedReply, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errAnswerTimeout)
	defer cancel()
	select {
	case r := <-l.reply:
		return r, nil
	case err := <-l.gone:
		return cell.ResolvedReply{}, err
	case <-ctx.Done():
		return cell.ResolvedReply{}, fmt.Errorf("resolve: %w", context.Cause(ctx))
	}
}
