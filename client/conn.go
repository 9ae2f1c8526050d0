package client

import "net"

// A Conn is a stream through the network. Its addresses say nothing about the
// destination.
type Conn struct{ net.Conn }

// Hops returns the relays that the stream goes through, the guard first.
func (c *Conn) Hops() []Hop { panic("unwritten") }

// CircuitHops returns the relays that a connection of [Client.Dial] goes
// through; ok is false for any other connection.
func CircuitHops(conn net.Conn) (hops []Hop, ok bool) {
	c, ok := conn.(*Conn)
	if !ok {
		return nil, false
	}
	return c.Hops(), true
}
