package exit

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

const ( // our choice
	udpSize    = 1232 // EDNS0: fits the smallest IPv6 packet, so nothing is fragmented (DNS flag day 2020)
	readSize   = 4096 // for servers that send more than they were told to
	maxStrays  = 32   // wrong replies that one UDP socket reads before it turns to TCP: somebody is guessing
	maxTCPSize = 16 << 10
)

// newQuery makes a query of its own random id for name, which is spelled in
// random case: a server repeats the spelling, so that who forges a reply has to
// guess one more bit per letter (draft-vixie-dnsext-dns0x20).
func newQuery(name string, qtype uint16, edns bool) *dns.Msg {
	var random [2 + (maxName+1+7)/8]byte
	rand.Read(random[:]) // never fails
	spelled := []byte(dns.Fqdn(name))
	for i, c := range spelled {
		if 'a' <= c && c <= 'z' && random[2+i/8]>>(i%8)&1 != 0 {
			spelled[i] = c - 'a' + 'A'
		}
	}
	m := &dns.Msg{Question: []dns.Question{{Name: string(spelled), Qtype: qtype, Qclass: dns.ClassINET}}}
	m.Id = binary.BigEndian.Uint16(random[:])
	m.RecursionDesired = true
	if edns {
		m.SetEdns0(udpSize, false)
	}
	return m
}

// exchange asks one server once, over UDP and, where the reply is cut off or
// looks forged, over TCP. Each query has a socket, and so a port, of its own.
// When the server does not understand EDNS it is asked without.
func (r *resolver) exchange(ctx context.Context, server netip.AddrPort, name string, qtype uint16) (*dns.Msg, error) {
	for _, edns := range []bool{true, false} {
		reply, err := r.ask(ctx, "udp", server, newQuery(name, qtype, edns))
		if errors.Is(err, errCase) || err == nil && reply.Truncated {
			reply, err = r.ask(ctx, "tcp", server, newQuery(name, qtype, edns))
		}
		if err == nil && reply.Truncated {
			err = errNotOurs
		}
		if !errors.Is(err, errRefuses) {
			return reply, err
		}
	}
	return nil, errRefuses
}

// ask sends q once and reads until a reply fits, or the attempt's time is up.
func (r *resolver) ask(ctx context.Context, network string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	var d net.Dialer
	raw, err := d.DialContext(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn := &dns.Conn{Conn: raw, UDPSize: udpSize}
	if err := conn.WriteMsg(q); err != nil {
		return nil, err
	}
	if network == "tcp" {
		return readTCP(conn, q)
	}
	return readUDP(conn, q)
}

// readUDP waits for the reply to q. What does not fit is passed over, since
// anybody may send to an open port: the true reply may still come.
func readUDP(conn *dns.Conn, q *dns.Msg) (*dns.Msg, error) {
	buf := make([]byte, readSize)
	for range maxStrays {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		reply := new(dns.Msg)
		if err := reply.Unpack(buf[:n]); err != nil {
			// A reply that was cut off in the middle of a record says so in its
			// header, which is intact.
			if !cutOff(buf[:n], q) {
				continue
			}
			return nil, errCase
		}
		switch err := checkReply(q, reply); {
		case err == nil:
			return reply, nil
		case !errors.Is(err, errNotOurs):
			return nil, err
		}
	}
	return nil, errCase
}

// cutOff reports whether b has the header of a truncated reply to q.
func cutOff(b []byte, q *dns.Msg) bool {
	const response, truncated = 1 << 15, 1 << 9 // RFC 1035, section 4.1.1
	if len(b) < 12 || binary.BigEndian.Uint16(b) != q.Id {
		return false
	}
	flags := binary.BigEndian.Uint16(b[2:])
	return flags&response != 0 && flags&truncated != 0
}

// readTCP reads the one reply to q.
func readTCP(conn *dns.Conn, q *dns.Msg) (*dns.Msg, error) {
	buf := make([]byte, maxTCPSize)
	n, err := conn.Read(buf)
	if err != nil {
		return nil, err
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(buf[:n]); err != nil {
		return nil, errNotOurs
	}
	err = checkReply(q, reply)
	if errors.Is(err, errCase) {
		err = nil // nobody off the path can answer over TCP, however the name is spelled
	}
	if err != nil {
		return nil, err
	}
	return reply, nil
}
