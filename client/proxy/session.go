package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/armon/go-socks5"

	"tunic/cell/socket"
)

// A stage is how far a connection has come. The session hands go-socks5 exactly
// one message per stage, so that it knows where each begins.
type stage int

const (
	greeting stage = iota
	credentials
	request
	reply // the request is with the library; its first write is the reply
	data
)

// A session is one connection as go-socks5 sees it.
type session struct {
	net.Conn // the program's
	server   *Server
	in       *bufio.Reader // on Conn
	out      *socket.Writer
	listener string // the address that took the connection, part of the isolation key

	stage   stage  // owned by the library's goroutine until the data stage
	pending []byte // of the present stage's message, not yet read by the library
	user    string
	pass    string
	code    byte // the reply code that replaces the library's; 0 leaves it
	target  net.Conn

	half atomic.Bool // one direction has ended: an idle other one ends too
	cut  atomic.Bool // the stream broke: the program must not take its end for one that was meant
}

func newSession(s *Server, conn net.Conn, listener string) *session {
	socket.LimitUnsent(conn, unsentBytes)
	return &session{Conn: conn, server: s, in: bufio.NewReaderSize(conn, 4<<10), out: socket.NewWriter(conn), listener: listener}
}

// serve runs the connection to its end. A panic ends this connection alone.
func (s *session) serve() {
	defer func() {
		if p := recover(); p != nil {
			s.server.log.Error("SOCKS connection panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
		if s.target != nil {
			s.target.Close()
		}
	}()
	_ = s.SetDeadline(time.Now().Add(requestLimit))
	first, err := s.in.Peek(1)
	if err != nil {
		return
	}
	if first[0] != version5 {
		s.answerStranger(first[0])
		return
	}
	srv, err := socks5.New(&socks5.Config{
		AuthMethods: []socks5.Authenticator{anyPassword{s}, socks5.NoAuthAuthenticator{}},
		Resolver:    noResolver{},
		Rules:       rules{s},
		Dial:        s.dial,
		Logger:      log.New(io.Discard, "", 0), // its lines hold destinations
	})
	if err != nil {
		s.server.log.Error("SOCKS server", "error", err)
		return
	}
	_ = srv.ServeConn(s) // the reply has told the program; there is nobody else to tell
	if s.cut.Load() {
		reset(s.Conn)
	}
}

// reset closes a connection so that the program sees that it broke, where the
// connection can say so.
func reset(conn net.Conn) {
	if c, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = c.SetLinger(0)
	}
	conn.Close()
}

// Read gives the library its next bytes: never more than the present stage's
// message before the data stage.
func (s *session) Read(b []byte) (int, error) {
	if s.stage == data {
		return s.readData(b)
	}
	for len(s.pending) == 0 {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, s.pending)
	s.pending = s.pending[n:]
	return n, nil
}

// fill reads the present stage's whole message and moves to the next stage.
func (s *session) fill() error {
	var err error
	switch s.stage {
	case greeting:
		err = s.readGreeting()
	case credentials:
		s.pending, err = readCredentials(s.in)
		s.stage = request
	case request:
		err = s.readRequest()
	default:
		err = errors.New("the library reads where it should write")
	}
	return err
}

// readData reads what the program sends, while the stream is open.
func (s *session) readData(b []byte) (int, error) {
	if s.half.Load() {
		_ = s.SetReadDeadline(time.Now().Add(halfIdle))
	}
	return s.in.Read(b)
}

// WriteTo moves what the program sends into the stream, which fills its cells
// from the connection directly: io.Copy finds it here. A stream that takes no more
// is no error: what has come from it may still be on its way to the program, and
// the other direction meets the end behind that. The library would cut it short.
func (s *session) WriteTo(w io.Writer) (n int64, err error) {
	r := &dataReader{s: s}
	if from, ok := w.(io.ReaderFrom); ok {
		n, err = from.ReadFrom(r)
	} else {
		n, err = io.Copy(w, r)
	}
	if err != nil && r.err == nil {
		return n, nil
	}
	return n, err
}

// A dataReader hides the session's WriteTo, and keeps the error of a read.
type dataReader struct {
	s   *session
	err error
}

func (r *dataReader) Read(b []byte) (int, error) {
	n, err := r.s.readData(b)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// Write passes on what the library writes. In the first reply it puts the code
// that our error asks for, which the library can't express.
func (s *session) Write(b []byte) (int, error) {
	if s.stage == reply && len(b) > 1 {
		if s.code != 0 {
			b = append([]byte{b[0], s.code}, b[2:]...)
		}
		s.stage = data
		_ = s.SetDeadline(time.Time{})
	}
	if s.half.Load() {
		_ = s.SetWriteDeadline(time.Now().Add(halfIdle))
	}
	return s.Conn.Write(b)
}

// WriteBuffers does so with several buffers at once, in the data stage.
func (s *session) WriteBuffers(b *net.Buffers) (int64, error) {
	if s.half.Load() {
		_ = s.SetWriteDeadline(time.Now().Add(halfIdle))
	}
	return s.out.WriteBuffers(b)
}

// CloseWrite tells the program that no more comes. The library finds it by a
// type assertion, and calls it after errors too.
func (s *session) CloseWrite() error {
	if s.cut.Load() {
		reset(s.Conn)
		return nil
	}
	s.halfClosed()
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// halfClosed starts the idle limit of the direction that goes on.
func (s *session) halfClosed() {
	s.half.Store(true)
	_ = s.SetDeadline(time.Now().Add(halfIdle))
}

// dial opens the stream for the request that the rules let through. It gives up
// when the program hangs up.
func (s *session) dial(_ context.Context, _, address string) (net.Conn, error) {
	r, err := parseTarget(address)
	if err != nil {
		s.code = replyGeneral
		return nil, err
	}
	r.Isolation = s.isolation()
	first := make(chan []byte, 1)
	r.First = first
	ctx, stop := s.whilePresent(first)
	conn, err := s.server.dialer.Dial(ctx, r)
	stop()
	if err != nil {
		s.code = replyCode(err)
		return nil, err
	}
	s.target = conn
	return &stream{Conn: conn, session: s}, nil
}

// whilePresent returns a context that ends when the program hangs up, which a
// read in the background notices. What comes stays in the buffer, but for a
// ClientHello that the program sends without waiting for the reply: it goes to first,
// which has room for it, and is gone if somebody has taken it when stop is called.
// stop ends the read.
func (s *session) whilePresent(first chan []byte) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithTimeout(s.server.ctx, dialLimit)
	_ = s.SetDeadline(time.Time{})
	done := make(chan struct{})
	var hello []byte
	go func() { // ends when the program hangs up or has sent a bufferful, or stop sets the deadline
		defer close(done)
		for {
			if sent, _ := s.in.Peek(s.in.Buffered()); len(sent) > 0 && hello == nil {
				if hello = bytes.Clone(clientHello(sent)); len(hello) > 0 {
					first <- hello
				}
			}
			_, err := s.in.Peek(s.in.Buffered() + 1)
			switch {
			case errors.Is(err, bufio.ErrBufferFull):
				return
			case err != nil:
				cancel()
				return
			}
		}
	}()
	return ctx, func() {
		_ = s.SetReadDeadline(time.Unix(1, 0))
		<-done
		_ = s.SetReadDeadline(time.Time{})
		cancel()
		select {
		case <-first: // nobody has
		default:
			_, _ = s.in.Discard(len(hello))
		}
	}
}

// clientHello returns the front of b that is the first record of a TLS connection, as
// far as it has come; nothing, but not nil, if b is anything else. A destination that gets it twice, by
// two circuits, does nothing twice. What TLS sends behind it may have effects.
func clientHello(b []byte) []byte {
	const header, handshake, hello = 5, 22, 1
	if len(b) <= header || b[0] != handshake || b[1] != 3 || b[header] != hello {
		return []byte{}
	}
	return b[:min(len(b), header+int(b[3])<<8+int(b[4]))]
}

// A stream is what the library copies to and from: the client's stream, with
// the local address that the library needs.
type stream struct {
	net.Conn
	session *session
}

// LocalAddr is what the library puts into its reply: no address of ours.
func (*stream) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }

// CloseWrite says that the program sends no more.
func (s *stream) CloseWrite() error {
	s.session.halfClosed()
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// ReadFrom and WriteTo are the stream's own, for speed.
func (s *stream) ReadFrom(r io.Reader) (int64, error) {
	if from, ok := s.Conn.(io.ReaderFrom); ok {
		return from.ReadFrom(r)
	}
	return io.Copy(s.Conn, r)
}

// WriteTo writes what arrives from the stream to w in large pieces.
func (s *stream) WriteTo(w io.Writer) (n int64, err error) {
	if to, ok := s.Conn.(io.WriterTo); ok {
		n, err = to.WriteTo(w)
	} else {
		n, err = io.Copy(w, s.Conn)
	}
	if err != nil {
		s.session.cut.Store(true)
	}
	return n, err
}
