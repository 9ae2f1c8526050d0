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
// asked once per record.
type Limiter interface {
	WaitN(ctx context.Context, n int) error
	Burst() int
}

// A Handler is told what concerns no circuit yet.
type Handler interface {
	// NewCircuit gets every CREATE and CREATE_DIR cell of the peer's for an id
	// without a circuit: the first, and more fragments of it. It is called on the
	// link's reader and must not block; body is valid during the call only.
	// The handler answers by Link.Accept or Link.Refuse, now or later.
	NewCircuit(l *Link, id cell.CircuitID, cmd cell.Command, body []byte, b *Batch)
	// LinkClosed is called once per link that was handed out or has called
	// NewCircuit, after the receivers of its circuits, on the link's reader.
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
// as Low plus the larger of two uniform draws from [0, High−Low). Both zero: never.
// Wire resolution is a millisecond.
type Padding struct{ Low, High time.Duration }

// A Target is a relay to dial, out of the dialler's own consensus or network file.
type Target struct {
	ID       keys.RelayID
	Key      keys.LinkPublic
	Addrs    []netip.AddrPort // in order of preference
	Versions []uint8          // link versions that it answers; nil: all that we know
}

// A Config says what a node's links have in common. Network, and for a node that
// listens ID, Keys and Handler, are needed; everything else has a default.
type Config struct {
	Network [32]byte               // digest of the network file
	ID      keys.RelayID           // ours; zero for a client
	Keys    func() []*keys.LinkKey // that answer handshakes, the newest first, at most two; nil: does not listen
	Proof   func() *keys.Proof     // who we are, for links that we open; nil or a nil result: a client

	Classify    func(id keys.RelayID) work.Class // of a proven peer; nil: all are relays
	SourceClass func(addr netip.Addr) work.Class // a hint before the handshake, by the address alone; nil: all strangers

	Handler    Handler // nil: the peer's circuits are refused
	ReadLimit  Limiter // nil: none
	WriteLimit Limiter // nil: none
	Transport  Transport
	MaxLinks   int // established links; a third is kept for authorities, a third for relays
	Padding    Padding
	Limits     Limits
	Log        *slog.Logger // nil: silent
}

// Limits are numbers that test networks and tests change. Zero values stand for
// the defaults.
type Limits struct {
	DialMemory  time.Duration // how long a failed dial is remembered; 60 s
	Handshake   time.Duration // from the first byte to the first record; 10 s
	SourceLinks int           // links and connections of one stranger's source at once; 100
	SourceRate  float64       // handshakes per second of one stranger's source; 20
	SourceBurst int           // and at once; 40
	Silent      int           // connections without a finished handshake; 1,024
	Workers     int           // goroutines for handshakes; see work.Config
	MaxCircuits int           // circuits on one link; 65,536
	QueueCells  int           // cells queued per circuit; 16,512
	IdleClient  time.Duration // a client's link without a circuit closes after 1 to 1.5 times this; 3 min
	IdleRelay   time.Duration // a link between relays, after 0.75 to 1.25 times this; 1 h
	MaxAge      time.Duration // a link older takes no new circuits; 7 days
}
