package linktest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"tunic/cell/link"
)

// memoryBuffer is how many bytes a connection in memory takes before its writer
// waits, each way.
const memoryBuffer = 64 << 10

// A Memory is a network inside the process, without sockets: its connections work
// in the virtual time of testing/synctest. Each has two addresses, so that limits by
// source work as well.
type Memory struct {
	line      func(from, to netip.Addr) Line // nil: all lines are without delay
	mu        sync.Mutex
	listeners map[netip.AddrPort]*memoryListener
	nextPort  uint16
}

// NewMemory returns an empty network.
func NewMemory() *Memory {
	return &Memory{listeners: map[netip.AddrPort]*memoryListener{}, nextPort: 1024}
}

// NewSlowMemory returns an empty network with a line for each direction of each
// connection, chosen by the addresses of its two hosts.
func NewSlowMemory(line func(from, to netip.Addr) Line) *Memory {
	m := NewMemory()
	m.line = line
	return m
}

// At returns the transport of a host with the given address.
func (m *Memory) At(host netip.Addr) link.Transport { return &memoryHost{m, host} }

type memoryHost struct {
	net  *Memory
	addr netip.Addr
}

var errNoListener = errors.New("connection refused")

func (h *memoryHost) Dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	h.net.mu.Lock()
	ln := h.net.listeners[addr]
	h.net.nextPort++
	from := netip.AddrPortFrom(h.addr, h.net.nextPort)
	h.net.mu.Unlock()
	if ln == nil {
		return nil, errNoListener
	}
	near, far := newPipe(from, addr)
	if h.net.line != nil {
		near.out.line, near.in.line = h.net.line(from.Addr(), addr.Addr()), h.net.line(addr.Addr(), from.Addr())
	}
	time.Sleep(near.out.line.Delay) // TCP's SYN,
	select {
	case ln.queue <- far:
		time.Sleep(near.in.line.Delay) // and the answer to it
		return near, nil
	case <-ln.done:
		return nil, errNoListener
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (h *memoryHost) Listen(addr netip.AddrPort) (net.Listener, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if addr.Port() == 0 { // as the system does
		h.net.nextPort++
		addr = netip.AddrPortFrom(addr.Addr(), h.net.nextPort)
	}
	if h.net.listeners[addr] != nil {
		return nil, errors.New("address in use")
	}
	ln := &memoryListener{net: h.net, addr: addr, queue: make(chan net.Conn), done: make(chan struct{})}
	h.net.listeners[addr] = ln
	return ln, nil
}

type memoryListener struct {
	net   *Memory
	addr  netip.AddrPort
	queue chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, l.addr)
		l.net.mu.Unlock()
		close(l.done)
	})
	return nil
}

func (l *memoryListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

// NewConn returns the two ends of a connection in memory, between two addresses.
func NewConn(a, b netip.AddrPort) (net.Conn, net.Conn) { return newPipe(a, b) }

func newPipe(a, b netip.AddrPort) (near, far *memoryConn) {
	ab, ba := newHalf(), newHalf()
	near = &memoryConn{in: ba, out: ab, local: a, remote: b}
	far = &memoryConn{in: ab, out: ba, local: b, remote: a}
	return near, far
}

// A memoryConn is one end of a connection.
type memoryConn struct {
	in, out       *half
	local, remote netip.AddrPort
}

func (c *memoryConn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *memoryConn) Write(b []byte) (int, error) { return c.out.write(b) }
func (c *memoryConn) LocalAddr() net.Addr         { return net.TCPAddrFromAddrPort(c.local) }
func (c *memoryConn) RemoteAddr() net.Addr        { return net.TCPAddrFromAddrPort(c.remote) }

// LimitUnsent does what TCP_NOTSENT_LOWAT does.
func (c *memoryConn) LimitUnsent(bytes int) { c.out.limitUnsent(bytes) }

func (c *memoryConn) CloseWrite() error { c.out.end(); return nil }

func (c *memoryConn) Close() error {
	c.out.end()
	c.in.breakOff()
	return nil
}

func (c *memoryConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}
func (c *memoryConn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	return nil
}
func (c *memoryConn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}

// half is one direction of a connection.
type half struct {
	line    Line // fixed once the connection is in use
	mu      sync.Mutex
	unsent  int // what LimitUnsent says; 0: nothing
	change  sync.Cond
	buf     []byte // has arrived and is not read
	under   under  // is on the line
	closed  bool   // the writer writes no more
	ended   bool   // and the reader's side knows
	broken  bool   // the reader reads no more
	readBy  deadline
	writeBy deadline
}

type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func newHalf() *half {
	h := &half{}
	h.change.L = &h.mu
	return h
}

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.broken:
			return 0, net.ErrClosed
		case h.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case len(h.buf) > 0:
			n := copy(b, h.buf)
			h.buf = h.buf[:copy(h.buf, h.buf[n:])]
			h.change.Broadcast()
			return n, nil
		case h.ended:
			return 0, io.EOF
		}
		h.change.Wait()
	}
}

func (h *half) write(b []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.closed || h.broken:
			return n, io.ErrClosedPipe
		case h.writeBy.passed():
			return n, os.ErrDeadlineExceeded
		case len(b) == 0:
			return n, nil
		}
		if room := min(h.room(len(b)), len(b)); room > 0 {
			h.send(b[:room])
			b, n = b[room:], n+room
			continue
		}
		h.change.Wait()
	}
}

// room returns how many bytes may be written now, of n that are to be. mu is held.
func (h *half) room(n int) int {
	if h.line == (Line{}) {
		return memoryBuffer - len(h.buf)
	}
	if len(h.buf) >= windowBytes {
		return 0
	}
	return h.lineRoom(n, time.Now())
}

// send puts b on its way. mu is held.
func (h *half) send(b []byte) {
	if h.line != (Line{}) {
		h.depart(b, time.Now())
		return
	}
	h.buf = append(h.buf, b...)
	h.change.Broadcast()
}

// end ends the writer's side; the reader's learns of it behind all that was written.
func (h *half) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.closed = true
	if h.line == (Line{}) {
		h.ended = true
	} else {
		h.depart(nil, time.Now())
	}
	h.change.Broadcast()
}

// breakOff ends both sides at once: nothing is read any more.
func (h *half) breakOff() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed, h.ended, h.broken = true, true, true
	h.change.Broadcast()
}

func (h *half) setDeadline(d *deadline, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	if !t.IsZero() {
		d.timer = time.AfterFunc(time.Until(t), func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.change.Broadcast()
		})
	}
	h.change.Broadcast()
}
