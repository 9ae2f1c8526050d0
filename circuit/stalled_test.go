package circuit_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/circuit"
	"tunic/circuit/congestion"
)

// countedNoise says how much of it has been taken.
type countedNoise struct {
	noise
	n atomic.Int64
}

func (c *countedNoise) Read(p []byte) (int, error) {
	n, err := c.noise.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// TestStalledReadersHoldLittle opens twenty downloads without an end that nobody
// reads: what each takes from its destination is bounded, none of it is on its way
// any more, and another stream of the circuit goes on. Read at last, they have
// lost nothing.
func TestStalledReadersHoldLittle(t *testing.T) {
	inVirtualTime(t, 3, func(t *testing.T, nw *network) {
		exit := nw.relays[2]
		stalled := 20
		if circuit.RaceEnabled {
			stalled = 3 // the detector takes its time
		}
		taken := make([]countedNoise, stalled)
		exit.begin = func(s *circuit.Stream, req cell.BeginRequest) {
			exit.work.Go(func() {
				if req.Host != "endless" {
					serve(s, req)
					return
				}
				defer s.Close()
				s.Connect(cell.ConnectedReply{})
				s.ReadFrom(&taken[req.Port-1])
			})
		}
		c := newClient(nw).build(3)
		var all []*circuit.Stream
		for i := range stalled {
			s, err := c.Dial(t.Context(), "endless", uint16(i+1), 0)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		synctest.Wait() // nothing moves any more
		if w, want := exit.only(t).Window(), congestion.Default().CwndInit; w != want {
			t.Errorf("a window of %d, want %d: no time passes, so it stays what it was", w, want)
		}
		window := int64(congestion.Default().CwndInit) * cell.MaxData
		var total int64
		for i, s := range all {
			held := int64(s.Unread())
			if limit := circuit.XOffAtOnce + window; held < circuit.XOffLimit || held > limit {
				t.Errorf("stream %d holds %d bytes, want %d to %d", i, held, circuit.XOffLimit, limit)
			}
			if more := taken[i].n.Load() - held; more < 0 || more > circuit.ReadSize {
				t.Errorf("the exit holds %d bytes for stream %d, want %d at most", more, i, circuit.ReadSize)
			}
			total += taken[i].n.Load()
		}
		t.Logf("%d bytes for each of %d streams", total/int64(stalled), stalled)
		const kib = 4 << 10
		if err := download(c, kib); err != nil {
			t.Errorf("another stream: %v", err)
		}
		const size = circuit.XOffAtOnce * 3 / 2
		want := noiseSum(size)
		for i, s := range all {
			h := sha256.New()
			if _, err := io.CopyN(h, s, size); err != nil || [32]byte(h.Sum(nil)) != want {
				t.Errorf("stream %d has lost something: %v", i, err)
			}
			s.Close()
		}
		c.Close()
		synctest.Wait()
	})
}

// download fetches so much noise and checks it.
func download(c *circuit.Circuit, kib uint16) error {
	s, err := c.Dial(context.Background(), "source", kib, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	h := sha256.New()
	n, err := s.WriteTo(h)
	if size := int64(kib) << 10; err == nil && (n != size || [32]byte(h.Sum(nil)) != noiseSum(size)) {
		err = fmt.Errorf("%d bytes came, or others than were sent", n)
	}
	return err
}

// largeWindow has what a stream may get beside its limit in one go: no round trip
// takes time here, so the window stays what it is at first.
func largeWindow() congestion.Params {
	p := congestion.Default()
	p.CwndInit = 1_024
	return p
}

// TestTooManyStalledReaders has so many that the circuit's limit is met: streams
// that were told to stop and still get data are given up, the circuit is not.
func TestTooManyStalledReaders(t *testing.T) {
	if circuit.RaceEnabled {
		t.Skip("100,000 cells take too long with the race detector")
	}
	inVirtualTime(t, 3, func(t *testing.T, nw *network) {
		nw.params.Congestion = largeWindow()
		c := newClient(nw).build(3)
		exit := nw.relays[2].only(t)
		var lost int
		const streams = circuit.MaxUnread/circuit.XOffAtOnce + 6
		for range streams {
			s, err := c.Dial(t.Context(), "hold", 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			failed := make(chan error, 1)
			go func() {
				_, err := s.ReadFrom(endless{})
				failed <- err
			}()
			synctest.Wait()
			select {
			case err := <-failed:
				lost++
				if end, ok := errors.AsType[*circuit.EndError](err); !ok || end.Reason != cell.EndResource {
					t.Errorf("a stream ends: %v, want the exit's limit", err)
				}
			default:
			}
			if held, _ := exit.Held(); held > circuit.MaxUnread+2*circuit.XOffAtOnce {
				t.Errorf("the exit holds %d bytes", held)
			}
			if err := echo(c); err != nil {
				t.Fatalf("another stream: %v", err)
			}
		}
		if lost == 0 || lost == streams {
			t.Errorf("%d of %d streams were given up", lost, streams)
		}
		c.Close()
		synctest.Wait()
	})
}

// TestTooManyStalledDownloads is the same at a client, whose programs do not read.
func TestTooManyStalledDownloads(t *testing.T) {
	if circuit.RaceEnabled {
		t.Skip("100,000 cells take too long with the race detector")
	}
	inVirtualTime(t, 3, func(t *testing.T, nw *network) {
		nw.params.Congestion = largeWindow()
		c := newClient(nw).build(3)
		var all []*circuit.Stream
		for range circuit.MaxUnread/circuit.XOffAtOnce + 6 {
			s, err := c.Dial(t.Context(), "endless", 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
			synctest.Wait()
			if err := echo(c); err != nil {
				t.Fatalf("another stream: %v", err)
			}
		}
		lost := 0
		for i, s := range all {
			select {
			case <-s.Done():
				lost++
				if n, err := s.Read(make([]byte, 1)); n != 0 || err == nil {
					t.Errorf("a stream that was given up can be read")
				}
			default:
				if s.Unread() < circuit.XOffLimit {
					t.Errorf("stream %d holds %d bytes", i, s.Unread())
				}
			}
		}
		if lost == 0 || lost > len(all)/2 {
			t.Errorf("%d of %d streams were given up", lost, len(all))
		}
		if n := c.Streams(); n != len(all)-lost {
			t.Errorf("%d streams are left, want %d", n, len(all)-lost)
		}
		c.Close()
		synctest.Wait()
	})
}

// BenchmarkBesideStalled is the throughput of a stream beside twenty others of its
// circuit that nobody reads, in turns with that of a stream that has its circuit
// for itself: the ratio of the two.
func BenchmarkBesideStalled(b *testing.B) {
	cl := newClient(newNetwork(b, 3))
	open := func(streams int) (last *circuit.Stream) { return downloads(b, cl.build(3), streams)[streams-1] }
	const turn = 16 << 20 // bytes
	buf := make([]byte, 64<<10)
	read := func(s *circuit.Stream) time.Duration {
		start := time.Now()
		for range turn / len(buf) {
			if _, err := io.ReadFull(s, buf); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(start)
	}
	alone, beside := open(1), open(21)
	read(alone)
	read(beside) // by then the others have stalled
	var took [2]time.Duration
	b.SetBytes(2 * turn)
	for b.Loop() {
		took[0] += read(alone)
		took[1] += read(beside)
	}
	b.ReportMetric(float64(took[0])/float64(took[1]), "beside/alone")
}
