// Package linktest is for tests of links and of what runs over them: relays' keys,
// a network in memory, and [Hostile], a peer that finishes real handshakes and then
// sends what a test says. It is a second implementation of the link, written
// slowly and plainly from docs/protocol.md, "Links", so that it also checks the
// first.
package linktest

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/directory/keys"
)

// Network is the digest of the network that tests use.
var Network = [32]byte{'t', 'e', 's', 't'}

// A Relay is the keys of a relay.
type Relay struct {
	ID       keys.RelayID
	Identity *keys.IdentityKey
	Signing  *keys.SigningKey
	Link     *keys.LinkKey
	Proof    *keys.Proof
}

// NewRelay makes a relay's keys. Its certificates are valid for a day, from an
// hour ago.
func NewRelay() *Relay {
	r := &Relay{Identity: keys.GenerateIdentity(), Signing: keys.GenerateSigning(), Link: keys.GenerateLink()}
	r.ID = r.Identity.Public()
	now := time.Now()
	cert := r.Identity.CertifySigning(r.Signing.Public(), now.Add(-time.Hour), now.Add(24*time.Hour))
	r.Proof = &keys.Proof{Certificate: cert, Signing: r.Signing}
	return r
}

// Config returns the configuration of a relay that answers and proves itself.
func (r *Relay) Config(h link.Handler) link.Config {
	return link.Config{
		Network: Network,
		ID:      r.ID,
		Keys:    func() []*keys.LinkKey { return []*keys.LinkKey{r.Link} },
		Proof:   func() *keys.Proof { return r.Proof },
		Handler: h,
	}
}

// Target returns what others dial.
func (r *Relay) Target(addrs ...netip.AddrPort) link.Target {
	return link.Target{ID: r.ID, Key: r.Link.Public(), Addrs: addrs}
}

// Client returns the configuration of a client.
func Client() link.Config { return link.Config{Network: Network} }

// NewPool makes a pool that is closed at the end of the test.
func NewPool(t testing.TB, cfg link.Config) *link.Pool {
	p := link.NewPool(cfg)
	t.Cleanup(func() { p.Close() })
	return p
}

// Serve has p listen on an address, on a port of its own, and returns the address.
func Serve(t testing.TB, p *link.Pool, tr link.Transport, host string) netip.AddrPort {
	t.Helper()
	ln, err := tr.Listen(hostPort(host))
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	done := make(chan struct{})
	go func() { defer close(done); p.Serve(ln) }()
	t.Cleanup(func() { p.Close(); <-done })
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// hostPort returns a host's address with port 0: any.
func hostPort(host string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(host), 0)
}

// A Handler is a link.Handler made of functions; those that are nil do nothing,
// except that a circuit nobody wants is refused. New gets CREATE and CREATE_DIR,
// Gone is told of a DESTROY for an id without a circuit.
type Handler struct {
	Gone   func(l *link.Link, id cell.CircuitID)
	New    func(l *link.Link, id cell.CircuitID, cmd cell.Command, body []byte, b *link.Batch)
	Closed func(l *link.Link)
}

// NewCircuit implements link.Handler.
func (h *Handler) NewCircuit(l *link.Link, id cell.CircuitID, cmd cell.Command, body []byte, b *link.Batch) {
	switch {
	case cmd == cell.Destroy:
		if h.Gone != nil {
			h.Gone(l, id)
		}
	case h.New == nil:
		l.Refuse(id, cell.ReasonRefused)
	default:
		h.New(l, id, cmd, body, b)
	}
}

// LinkClosed implements link.Handler.
func (h *Handler) LinkClosed(l *link.Link) {
	if h.Closed != nil {
		h.Closed(l)
	}
}

// A Receiver is a link.Receiver made of functions; those that are nil do nothing.
type Receiver struct {
	Cell   func(c *link.Circuit, cmd cell.Command, body []byte, b *link.Batch)
	Closed func(c *link.Circuit)
}

// Receive implements link.Receiver.
func (r *Receiver) Receive(c *link.Circuit, cmd cell.Command, body []byte, b *link.Batch) {
	if r.Cell != nil {
		r.Cell(c, cmd, body, b)
	}
}

// LinkClosed implements link.Receiver.
func (r *Receiver) LinkClosed(c *link.Circuit) {
	if r.Closed != nil {
		r.Closed(c)
	}
}

// Pair connects two pools in memory and returns both ends of the link: a's, which
// dials, and b's, which is peer's.
func Pair(t testing.TB, a, b link.Config, peer *Relay) (near, far *link.Link) {
	t.Helper()
	m := NewMemory()
	a.Transport, b.Transport = m.At(netip.MustParseAddr("10.1.0.1")), m.At(netip.MustParseAddr("10.2.0.1"))
	return pair(t, a, b, peer, "10.2.0.1")
}

// PairTCP is Pair over TCP on loopback.
func PairTCP(t testing.TB, a, b link.Config, peer *Relay) (near, far *link.Link) {
	t.Helper()
	a.Transport, b.Transport = link.TCP{}, link.TCP{}
	return pair(t, a, b, peer, "127.0.0.1")
}

func pair(t testing.TB, a, b link.Config, peer *Relay, host string) (near, far *link.Link) {
	t.Helper()
	catch := &catcher{Handler: b.Handler, links: make(chan *link.Link, 1)}
	b.Handler = catch
	pb := NewPool(t, b)
	addr := Serve(t, pb, b.Transport, host)
	near = Dial(t, NewPool(t, a), peer.Target(addr))
	return near, catch.far(t, near)
}

// A catcher is a handler that tells the first link it hears of.
type catcher struct {
	link.Handler
	links chan *link.Link
}

// probe is the body of the CREATE_DIR by which a catcher hears of a link.
const probe = "linktest: which link is this?"

// far returns the other end of l, which is a link to the catcher's pool.
func (c *catcher) far(t testing.TB, l *link.Link) *link.Link {
	t.Helper()
	circ, err := l.Open(&Receiver{})
	if err != nil {
		t.Fatalf("open a circuit: %v", err)
	}
	defer circ.Destroy(cell.ReasonNone)
	s := cell.NewSlot()
	clear(s.Body()[copy(s.Body(), probe):])
	if err := circ.Push(s, cell.CreateDir, nil); err != nil {
		t.Fatalf("push: %v", err)
	}
	select {
	case far := <-c.links:
		return far
	case <-time.After(patience):
		t.Fatal("the peer has no such link")
		return nil
	}
}

func (c *catcher) NewCircuit(l *link.Link, id cell.CircuitID, cmd cell.Command, body []byte, b *link.Batch) {
	switch {
	case cmd == cell.CreateDir && string(body[:len(probe)]) == probe:
		c.links <- l
	case c.Handler == nil && cmd != cell.Destroy:
		l.Refuse(id, cell.ReasonRefused)
	case c.Handler == nil:
	default:
		c.Handler.NewCircuit(l, id, cmd, body, b)
	}
}

func (c *catcher) LinkClosed(l *link.Link) {
	if c.Handler != nil {
		c.Handler.LinkClosed(l)
	}
}

// Dial dials, and fails the test if that fails.
func Dial(t testing.TB, p *link.Pool, target link.Target) *link.Link {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l, err := p.Dial(ctx, target)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	return l
}

// patience is how long a helper waits for what must come.
const patience = 5 * time.Second
