package relay_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tunic/directory"
	"tunic/relay"
)

// A journal is what a relay has logged from Info on.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// count returns how many lines say what.
func (j *journal) count(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), what)
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// A relay whose clock is wrong is published like others, and says once why it has no
// consensus.
func TestConsensusOfAnotherTimeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newNet(t, 1, options{memory: true, period: time.Hour})
		time.Sleep(7 * 24 * time.Hour) // as a clock that is a week ahead
		var said journal
		r := nw.add(options{config: func(_ int, c *relay.Config) { c.Log = said.logger() }}, 1)
		time.Sleep(3 * time.Hour)
		if s := r.Status(); !s.Consensus.IsZero() {
			t.Fatalf("it has the consensus of %v", s.Consensus)
		}
		if n := said.count("clock right"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// A relay that can't write the consensus to its disk goes on with it, asks nobody else
// for it, and says so.
func TestConsensusThatIsNotSavedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newNet(t, 1, options{memory: true, period: time.Hour})
		var said journal
		r := nw.add(options{config: func(_ int, c *relay.Config) {
			c.Log = said.logger()
			if err := os.MkdirAll(filepath.Join(c.Dir, "consensus", "in the way"), 0o700); err != nil {
				t.Fatal(err)
			}
		}}, 1)
		time.Sleep(3 * time.Hour)
		nw.setConsensus([]directory.Relay{nw.authority.await(t, r.ID(), whatever).Relay()})
		time.Sleep(time.Hour)
		if s := r.Status(); !s.Listed || said.count("consensus not saved") == 0 {
			t.Errorf("listed %v, said %d times that it is not saved", s.Listed, said.count("consensus not saved"))
		}
	})
}
