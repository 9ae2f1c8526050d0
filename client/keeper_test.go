package client

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"tunic/cell"
	"tunic/circuit"
)

// Honest relays never break the protocol: the user is told of a circuit that ended
// by it, and of no other.
func TestBrokenProtocolIsTold(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		told bool
	}{
		"a relay broke the protocol": {fmt.Errorf("cell that no layer recognises: %w", cell.ErrMalformed), true},
		"a link closed":              {&circuit.DestroyError{Hop: 0, Reason: cell.ReasonLinkClosed}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 7, 3)
				s, err := openStore(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				var said bytes.Buffer
				cfg := Config{Network: w.file, Log: slog.New(slog.NewTextHandler(&said, nil))}
				c, err := start(cfg, s, &memory{b: w.bundle}, w, rand.New(rand.NewPCG(1, 2)))
				if err != nil {
					t.Fatal(err)
				}
				conn := get(t, c, "")
				conn.e.circuit.(*fakeCircuit).destroy(tt.err)
				synctest.Wait()
				conn.Close()
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				if told := strings.Contains(said.String(), "broke the protocol"); told != tt.told {
					t.Errorf("the log says %q", said.String())
				}
			})
		})
	}
}
