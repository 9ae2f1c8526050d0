package client

import (
	"io"
	"net"
	"sync"
	"time"

	"tunic/directory"
)

// A Conn is a stream through the network. Its addresses are unspecified: they
// say nothing about the destination. It has CloseWrite, WriteTo and ReadFrom,
// and must be closed.
type Conn struct {
	c      *Client
	s      stream
	e      *entry
	closed sync.Once
}

func (c *Client) newConn(s stream, e *entry) *Conn { return &Conn{c: c, s: s, e: e} }

// Read reads what the destination sent.
func (x *Conn) Read(b []byte) (int, error) {
	n, err := x.s.Read(b)
	x.c.read.Add(uint64(n))
	return n, err
}

// Write sends to the destination.
func (x *Conn) Write(b []byte) (int, error) {
	n, err := x.s.Write(b)
	x.c.written.Add(uint64(n))
	return n, err
}

// WriteTo writes what the destination sends to w, until its end.
func (x *Conn) WriteTo(w io.Writer) (int64, error) {
	n, err := x.s.WriteTo(w)
	x.c.read.Add(uint64(n))
	return n, err
}

// ReadFrom sends what r gives, until its end.
func (x *Conn) ReadFrom(r io.Reader) (int64, error) {
	n, err := x.s.ReadFrom(r)
	x.c.written.Add(uint64(n))
	return n, err
}

// CloseWrite tells the destination that no more comes; the other direction
// stays open.
func (x *Conn) CloseWrite() error { return x.s.CloseWrite() }

// Close ends the stream. What was written before is still delivered.
func (x *Conn) Close() error {
	err := x.s.Close()
	x.closed.Do(func() { x.c.release(x.e) })
	return err
}

// LocalAddr returns an unspecified address.
func (x *Conn) LocalAddr() net.Addr { return x.s.LocalAddr() }

// RemoteAddr returns an unspecified address.
func (x *Conn) RemoteAddr() net.Addr { return x.s.RemoteAddr() }

// SetDeadline sets both deadlines.
func (x *Conn) SetDeadline(t time.Time) error { return x.s.SetDeadline(t) }

// SetReadDeadline sets when reads give up.
func (x *Conn) SetReadDeadline(t time.Time) error { return x.s.SetReadDeadline(t) }

// SetWriteDeadline sets when writes give up.
func (x *Conn) SetWriteDeadline(t time.Time) error { return x.s.SetWriteDeadline(t) }

// Hops returns the relays that the stream goes through, the guard first.
func (x *Conn) Hops() []Hop { return x.e.hops() }

func (e *entry) hops() []Hop {
	hops := make([]Hop, len(e.path))
	for i, r := range e.path {
		hops[i] = hopOf(r)
	}
	return hops
}

func hopOf(r *directory.Relay) Hop { return Hop{ID: r.ID, Nickname: r.Nickname, Addrs: r.Addrs} }

// CircuitHops returns the relays that a connection of [Client.Dial] goes
// through; ok is false for any other connection.
func CircuitHops(conn net.Conn) (hops []Hop, ok bool) {
	c, ok := conn.(*Conn)
	if !ok {
		return nil, false
	}
	return c.Hops(), true
}
