package link

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"tunic/cell"
	"tunic/cell/work"
	"tunic/directory/keys"
)

// A Limiter limits bytes per second; *rate.Limiter of golang.org/x/time fits. It is
// asked once for what is read or written with one system call.
type Limiter interface {
	// WaitN waits until n bytes may pass.
	WaitN(ctx context.Context, n int) error
	// AllowN reports whether n bytes may pass now; if so, they count.
	AllowN(now time.Time, n int) bool
	// Burst returns the most bytes that one WaitN may ask for.
	Burst() int
}

// A Handler is told what concerns no circuit yet.
type Handler interface {
	// NewCircuit gets every CREATE and CREATE_DIR cell of the peer's for an id
	// without a circuit: the first, and more fragments of it. The handler answers
	// by Link.Accept or Link.Refuse, now or later. It also gets a DESTROY for an id
	// without a circuit, which may be one that it has not answered yet: it forgets
	// that, and never answers. (An Accept that comes after it fails in any case.)
	// NewCircuit is called on the link's reader and must not block; body is valid
	// during the call only.
	NewCircuit(l *Link, id cell.CircuitID, cmd cell.Command, body []byte, b *Batch)
	// LinkClosed is called once per link, when it has ended, after the receivers
	// of its circuits; on the link's reader.
	LinkClosed(l *Link)
}

// A Receiver gets the cells of one circuit.
type Receiver interface {
	// Receive gets a cell, on the link's reader: it must not block. body is in
	// the record: valid during the call, and it may be changed. On DESTROY the
	// circuit has left the link already. Push to other circuits with b.
	Receive(c *Circuit, cmd cell.Command, body []byte, b *Batch)
	// LinkClosed says that the link has ended, and the circuit with it; on the
	// link's reader. It is not called after Destroy, Forget or a DESTROY.
	LinkClosed(c *Circuit)
}

// Padding says how long after a cell a side of a link sends PADDING: a time drawn
// as Low plus the larger of two uniform draws from [0, High−Low). The zero value
// stands for the default, 1.5 to 9.5 s; a negative Low for no padding. The wire
// carries milliseconds, up to a minute.
type Padding struct{ Low, High time.Duration }

// A Target is a relay to dial, out of the dialler's own consensus or network file.
type Target struct {
	ID       keys.RelayID
	Key      keys.LinkPublic
	Addrs    []netip.AddrPort // in order of preference
	Versions []uint8          // link versions that it answers; nil: all that we know
}

// A Config says what a node's links have in common. Network, and for a node that
// listens ID and Keys, are needed; everything else has a default.
type Config struct {
	Network [32]byte               // digest of the network file
	ID      keys.RelayID           // ours; zero for a client
	Keys    func() []*keys.LinkKey // that answer handshakes, the newest first, two at most; nil: does not listen
	Proof   func() *keys.Proof     // who we are, for links that we open; nil or a nil result: a client

	Classify    func(id keys.RelayID) work.Class // of a proven peer; nil: all are relays
	SourceClass func(addr netip.Addr) work.Class // a hint before the handshake, by the address alone; nil: all strangers

	Handler    Handler     // nil: circuits of the peer's are refused
	ReadLimit  Limiter     // nil: none
	WriteLimit Limiter     // nil: none
	Transport  Transport   // nil: TCP
	Busy       func() bool // whether workers for handshakes rest; see work.Config
	MaxLinks   int         // a third is kept for authorities, a third for relays, see work.Class; 12,288
	Padding    Padding     // of a client, and the most frequent that a relay grants one; see [Padding]
	Limits     Limits
	Log        *slog.Logger // nil: silent
}

// Limits are numbers that test networks and tests change. Zero values stand for
// the defaults.
type Limits struct {
	DialMemory  time.Duration // how long a failed dial is remembered; 60 s
	Handshake   time.Duration // from the connection to the first record; 10 s
	SourceLinks int           // connections and links of one stranger's source at once; 100
	SourceRate  float64       // handshakes per second of one stranger's source; 20
	SourceBurst int           // and at once; 40
	Silent      int           // connections without a finished handshake, by class as links; 3,072
	Workers     int           // goroutines for handshakes; see work.Config
	MaxCircuits int           // circuits on one link; 65,536
	QueueCells  int           // cells queued per circuit; 16,512
	IdleClient  time.Duration // a stranger's link without a circuit closes after 1 to 1.5 times this; 3 min
	IdleRelay   time.Duration // a link with a relay, after 0.75 to 1.25 times this; 1 h
	MaxAge      time.Duration // a link older than this takes no new circuits; 7 days
}

// withDefaults returns c with everything that is missing filled in. It panics if a
// node that listens has no identity.
func (c Config) withDefaults() Config {
	if c.Keys != nil && c.ID == (keys.RelayID{}) {
		panic("link: a node that listens needs an identity")
	}
	if c.Transport == nil {
		c.Transport = TCP{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.MaxLinks = orDefault(c.MaxLinks, defaultLinks)
	c.Padding = c.Padding.withDefaults()
	l := &c.Limits
	l.DialMemory = orDefault(l.DialMemory, defaultDialMemory)
	l.Handshake = orDefault(l.Handshake, handshakeMax)
	l.SourceLinks = orDefault(l.SourceLinks, defaultSourceLinks)
	l.SourceRate = orDefault(l.SourceRate, defaultSourceRate)
	l.SourceBurst = orDefault(l.SourceBurst, defaultSourceBurst)
	l.Silent = orDefault(l.Silent, defaultSilent)
	l.MaxCircuits = orDefault(l.MaxCircuits, defaultCircuits)
	l.QueueCells = orDefault(l.QueueCells, defaultQueueCells)
	l.IdleClient = orDefault(l.IdleClient, defaultIdleClient)
	l.IdleRelay = orDefault(l.IdleRelay, defaultIdleRelay)
	l.MaxAge = orDefault(l.MaxAge, defaultMaxAge)
	return c
}

// orDefault returns v if it is positive, else d.
func orDefault[T int | float64 | time.Duration](v, d T) T {
	if v > 0 {
		return v
	}
	return d
}
