package client

import (
	"context"
	"log/slog"

	"tunic/cell/ceiling"
	"tunic/cell/link"
	"tunic/circuit"
	"tunic/directory"
)

// FirstHop opens the first hop of a circuit over a real network's links, with
// open in place of a handshake, as building a circuit does.
func FirstHop(ctx context.Context, n *directory.Network, t link.Target, open func(*link.Link) (*circuit.Circuit, error)) error {
	w := newWire(n, link.TCP{}, slog.New(slog.DiscardHandler), new(ceiling.Gauge), new(ceiling.Gauge))
	defer w.close()
	_, err := w.first(ctx, t, open)
	return err
}
