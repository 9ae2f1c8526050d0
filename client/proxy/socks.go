package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/armon/go-socks5"

	"tunic/cell"
	"tunic/client"
)

const ( // RFC 1928 and 1929
	version4     = 4
	version5     = 5
	methodNone   = 0
	methodPass   = 2
	authVersion  = 1
	authAccepted = 0
	addrIPv4     = 1
	addrName     = 3
	addrIPv6     = 4
	cmdConnect   = 1
)

const ( // Tor's extensions, which torsocks and others use
	cmdResolve    = 0xf0
	cmdResolvePTR = 0xf1
)

const ( // reply codes, RFC 1928 section 6
	replyGranted    = 0
	replyGeneral    = 1
	replyNotAllowed = 2
	replyNetwork    = 3
	replyHost       = 4
	replyRefused    = 5
	replyTTL        = 6
)

// maxName is the longest host name, in bytes: RFC 1035, without the root's dot.
const maxName = 253

// readGreeting reads the greeting and offers the library one method: user name
// and password if the program offers it, so that they are sent and isolation
// works; the library would take what stands first.
func (s *session) readGreeting() error {
	var head [2]byte
	if _, err := io.ReadFull(s.in, head[:]); err != nil {
		return err
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(s.in, methods); err != nil {
		return err
	}
	s.pending = append(head[:], methods...)
	s.stage = request
	if strings.IndexByte(string(methods), methodPass) >= 0 {
		s.pending = []byte{version5, 1, methodPass}
		s.stage = credentials
	}
	return nil
}

// readCredentials reads a message of RFC 1929 whole.
func readCredentials(r *bufio.Reader) ([]byte, error) {
	msg := make([]byte, 2, 2+255+1+255)
	if _, err := io.ReadFull(r, msg); err != nil {
		return nil, err
	}
	n := int(msg[1])
	msg = msg[:2+n+1]
	if _, err := io.ReadFull(r, msg[2:]); err != nil {
		return nil, err
	}
	m := int(msg[2+n])
	msg = msg[:2+n+1+m]
	_, err := io.ReadFull(r, msg[2+n+1:])
	return msg, err
}

// readRequest reads the request whole. RESOLVE and RESOLVE_PTR it answers
// itself, which ends the connection; all else is the library's.
func (s *session) readRequest() error {
	msg := make([]byte, 4, 4+1+255+2)
	if _, err := io.ReadFull(s.in, msg); err != nil {
		return err
	}
	var n int
	switch msg[3] {
	case addrIPv4:
		n = 4
	case addrIPv6:
		n = 16
	case addrName:
		length, err := s.in.ReadByte()
		if err != nil {
			return err
		}
		msg = append(msg, length)
		n = int(length)
	default: // the library answers from the four bytes alone
		s.pending, s.stage = msg, reply
		return nil
	}
	from := len(msg)
	msg = msg[:from+n+2]
	if _, err := io.ReadFull(s.in, msg[from:]); err != nil {
		return err
	}
	if msg[1] == cmdResolve || msg[1] == cmdResolvePTR {
		s.resolve(msg[1], msg[3], msg[from:from+n])
		return io.EOF
	}
	s.pending, s.stage = msg, reply
	return nil
}

// resolve answers one of Tor's two resolving commands.
func (s *session) resolve(command, kind byte, address []byte) {
	host := string(address)
	if kind != addrName {
		a, _ := netip.AddrFromSlice(address) // 4 or 16 bytes
		host = a.String()
	}
	req := cell.ResolveRequest{Reverse: command == cmdResolvePTR, Host: strings.ToLower(host)}
	if err := checkHost(host); err != nil {
		s.writeReply(replyNotAllowed, nil)
		return
	}
	ctx, stop := s.whilePresent(make(chan []byte, 1))
	answer, err := s.server.dialer.Resolve(ctx, req, s.isolation())
	stop()
	if err != nil {
		s.writeReply(replyCode(err), nil)
		return
	}
	for _, a := range answer.Answers {
		switch {
		case a.Kind == cell.AnswerName && req.Reverse && len(a.Name) <= 255:
			s.writeReply(replyGranted, append([]byte{addrName, byte(len(a.Name))}, a.Name...))
			return
		case a.Kind == cell.AnswerIPv4 && !req.Reverse:
			s.writeReply(replyGranted, append([]byte{addrIPv4}, a.Addr.AsSlice()...))
			return
		case a.Kind == cell.AnswerIPv6 && !req.Reverse:
			s.writeReply(replyGranted, append([]byte{addrIPv6}, a.Addr.AsSlice()...))
			return
		}
	}
	s.writeReply(replyHost, nil)
}

// writeReply writes a reply with an address, kind first; nil is 0.0.0.0.
func (s *session) writeReply(code byte, address []byte) {
	if address == nil {
		address = []byte{addrIPv4, 0, 0, 0, 0}
	}
	msg := append([]byte{version5, code, 0}, address...)
	_, _ = s.Conn.Write(append(msg, 0, 0)) // the connection ends here either way
}

// anyPassword takes every user name and password: they separate circuits, they
// prove nothing.
type anyPassword struct{ s *session }

// GetCode returns the number of the method.
func (anyPassword) GetCode() uint8 { return methodPass }

// Authenticate reads user name and password and accepts them, empty ones too.
func (a anyPassword) Authenticate(r io.Reader, w io.Writer) (*socks5.AuthContext, error) {
	if _, err := w.Write([]byte{version5, methodPass}); err != nil {
		return nil, err
	}
	msg, err := readCredentials(bufio.NewReader(r)) // the session hands out this message alone
	if err != nil {
		return nil, err
	}
	if msg[0] != authVersion {
		return nil, errors.New("unknown version of user and password")
	}
	n := int(msg[1])
	a.s.user, a.s.pass = string(msg[2:2+n]), string(msg[3+n:])
	_, err = w.Write([]byte{authVersion, authAccepted})
	return &socks5.AuthContext{Method: methodPass}, err
}

// isolation is the key that streams must share to share a circuit: listener,
// the program's address, user name and password, each with its length, so that
// no two different ones look alike.
func (s *session) isolation() string {
	host, _, err := net.SplitHostPort(s.RemoteAddr().String())
	if err != nil {
		host = s.RemoteAddr().String()
	}
	return fmt.Sprintf("%d:%s%d:%s%d:%s%d:%s", len(s.listener), s.listener, len(host), host, len(s.user), s.user, len(s.pass), s.pass)
}

// noResolver leaves names as they are: the exit resolves them.
type noResolver struct{}

// Resolve resolves nothing.
func (noResolver) Resolve(ctx context.Context, _ string) (context.Context, net.IP, error) {
	return ctx, nil, nil
}

// rules lets through what the network could carry.
type rules struct{ s *session }

// Allow refuses destinations that can't be meant.
func (r rules) Allow(ctx context.Context, req *socks5.Request) (context.Context, bool) {
	if req.Command != cmdConnect {
		return ctx, true // the library answers that it does not know the command
	}
	if req.DestAddr.Port == 0 {
		return ctx, false
	}
	if len(req.DestAddr.IP) != 0 {
		return ctx, true
	}
	return ctx, checkHost(req.DestAddr.FQDN) == nil
}

// checkHost refuses what is no host name: empty, too long, with control
// characters or spaces.
func checkHost(host string) error {
	if host == "" || len(host) > maxName {
		return errors.New("host name of a wrong length")
	}
	for i := range len(host) {
		if host[i] <= ' ' || host[i] >= 0x7f || host[i] == '/' {
			return errors.New("host name with a forbidden character")
		}
	}
	return nil
}

// parseTarget takes the library's "host:port" apart. A name that is an address
// in disguise becomes one. The library has put brackets around what has colons:
// those that remain came from the program.
func parseTarget(address string) (client.Request, error) {
	host, port := address, ""
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		host, port = address[:i], address[i+1:]
	}
	if strings.Contains(host, ":") {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || checkHost(host) != nil {
		return client.Request{}, errors.New("destination is malformed")
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
		host = a.Unmap().String()
	}
	return client.Request{Host: strings.ToLower(host), Port: uint16(n)}, nil
}

// replyCode is the one place where an error becomes a SOCKS reply code.
func replyCode(err error) byte {
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		if errors.Is(err, context.DeadlineExceeded) {
			return replyTTL
		}
		return replyGeneral
	}
	switch e.Code {
	case client.NotAllowed:
		return replyNotAllowed
	case client.NetUnreachable:
		return replyNetwork
	case client.HostUnreachable:
		return replyHost
	case client.Refused:
		return replyRefused
	case client.Timeout:
		return replyTTL
	}
	return replyGeneral
}

// answerStranger says what this port is to a program that speaks no SOCKS5.
func (s *session) answerStranger(first byte) {
	switch {
	case first == version4:
		_, _ = s.Conn.Write([]byte{0, 91, 0, 0, 0, 0, 0, 0}) // request rejected
		s.server.log.Warn("a program spoke SOCKS4 to the SOCKS5 port; set it to SOCKS5 with remote names (socks5h)")
	case first >= 'A' && first <= 'Z':
		_, _ = io.WriteString(s.Conn, httpHint)
	}
}

// httpHint answers a browser that takes the port for an HTTP proxy.
var httpHint = func() string {
	body := "This is tunic's SOCKS5 port, not an HTTP proxy. Set your program to SOCKS5 with remote DNS (socks5h).\n"
	head := make([]byte, 0, 160)
	head = append(head, "HTTP/1.0 501 Not Implemented\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: "...)
	head = strconv.AppendInt(head, int64(len(body)), 10)
	return string(head) + "\r\n\r\n" + body
}()
