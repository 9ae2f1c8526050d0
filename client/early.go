package client

import "context"

// An early is what an application sends before its request has been answered; see
// [Request.First].
type early struct {
	from <-chan []byte // nil: nothing is sent early
	text []byte        // once it has come
}

// now returns what has come already.
func (e *early) now() []byte {
	if e.text == nil {
		select {
		case e.text = <-e.from:
		default:
		}
	}
	return e.text
}

// follow sends what comes from now on on s, which has begun without it. finish ends
// that, and waits until what has come is sent: for nothing else if s is closed.
func (e *early) follow(s stream) (finish func()) {
	if e.from == nil || e.text != nil {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() { // ends with finish
		defer close(done)
		select {
		case e.text = <-e.from:
			_, _ = s.Write(e.text) // whoever reads from s hears of the error
		case <-quit:
		}
	}()
	return func() { close(quit); <-done }
}

// connect begins a stream and waits for the exit's answer. What comes meanwhile has
// been sent when it returns.
func (c *Client) connect(ctx context.Context, e *entry, t target, first *early) (stream, error) {
	s, err := e.circuit.Begin(ctx, t.host, t.port, t.flags, first.now())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() }) // what is sent may have to wait
	finish := first.follow(s)
	err = c.connected(ctx, s)
	if err != nil {
		_ = s.Close()
	}
	finish()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	c.written.Add(uint64(len(first.text)))
	return s, nil
}
