package link_test

import (
	"bytes"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/link/linktest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// arrived is a cell that a receiver got.
type arrived struct {
	cmd  cell.Command
	body []byte
}

// inbox returns a receiver that puts what it gets into a channel.
func inbox(size int) (*linktest.Receiver, chan arrived) {
	ch := make(chan arrived, size)
	return &linktest.Receiver{Cell: func(_ *link.Circuit, cmd cell.Command, body []byte, _ *link.Batch) {
		ch <- arrived{cmd, bytes.Clone(body)}
	}}, ch
}

func push(t testing.TB, c *link.Circuit, cmd cell.Command, text string) {
	t.Helper()
	s := cell.NewSlot()
	clear(s.Body()[copy(s.Body(), text):])
	if err := c.Push(s, cmd, nil); err != nil {
		t.Fatalf("push: %v", err)
	}
}

// within waits for a value.
func within[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(5 * time.Second):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

func TestCellsTravelBothWays(t *testing.T) {
	for name, pair := range map[string]func(testing.TB, link.Config, link.Config, *linktest.Relay) (*link.Link, *link.Link){
		"memory": linktest.Pair, "tcp": linktest.PairTCP,
	} {
		t.Run(name, func(t *testing.T) {
			r := linktest.NewRelay()
			theirs, fromNear := inbox(10)
			accepted := make(chan *link.Circuit, 1)
			h := &linktest.Handler{New: func(l *link.Link, id cell.CircuitID, cmd cell.Command, body []byte, b *link.Batch) {
				c, err := l.Accept(id, theirs)
				if err != nil {
					t.Errorf("accept: %v", err)
				}
				accepted <- c
			}}
			near, _ := pair(t, linktest.Client(), r.Config(h), r)
			ours, fromFar := inbox(10)
			c, err := near.Open(ours)
			if err != nil {
				t.Fatal(err)
			}
			push(t, c, cell.Create, "hello")
			far := within(t, accepted)
			push(t, c, cell.Relay, "one")
			if got := within(t, fromNear); got.cmd != cell.Relay || !bytes.HasPrefix(got.body, []byte("one\x00")) {
				t.Fatalf("got %v", got)
			}
			push(t, far, cell.Created, "two")
			if got := within(t, fromFar); got.cmd != cell.Created || !bytes.HasPrefix(got.body, []byte("two\x00")) {
				t.Fatalf("got %v", got)
			}
			c.Destroy(cell.ReasonTimeout)
			if got := within(t, fromNear); got.cmd != cell.Destroy || cell.Reason(got.body[0]) != cell.ReasonTimeout {
				t.Fatalf("got %v", got)
			}
		})
	}
}
