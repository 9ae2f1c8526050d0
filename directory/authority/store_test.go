package authority

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"tunic/directory"
	"tunic/directory/directorytest"
)

func testStore(tb testing.TB, dir string) *store {
	tb.Helper()
	s, err := openStore(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.close() })
	return s
}

func TestOnlyOneDocumentIsKeptForAPeriod(t *testing.T) {
	dir := t.TempDir()
	s := testStore(t, dir)
	first, second := []byte("first"), []byte("second")
	for _, doc := range [][]byte{first, second, first} {
		kept, err := s.once(bucketSigned, epoch, doc)
		if err != nil || !bytes.Equal(kept, first) {
			t.Errorf("signed %q, want %q (%v)", kept, first, err)
		}
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	s = testStore(t, dir) // a restart changes nothing
	if kept, err := s.once(bucketSigned, epoch, second); err != nil || !bytes.Equal(kept, first) {
		t.Errorf("after a restart: %q (%v)", kept, err)
	}
	if kept, err := s.once(bucketSigned, epoch.Add(time.Hour), second); err != nil || !bytes.Equal(kept, second) {
		t.Errorf("next period: %q (%v)", kept, err)
	}
}

func TestNothingIsSignedForAPeriodThatMayBeForgotten(t *testing.T) {
	s := testStore(t, t.TempDir())
	for i := range 3 * keepPeriods {
		if _, err := s.once(bucketVotes, epoch.Add(time.Duration(i)*time.Hour), []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if doc, err := s.own(bucketVotes, epoch); doc != nil || err != nil {
		t.Errorf("oldest vote is still there: %x (%v)", doc, err)
	}
	last := epoch.Add((3*keepPeriods - 1) * time.Hour)
	if doc, err := s.own(bucketVotes, last); len(doc) != 1 || err != nil {
		t.Errorf("newest vote: %x (%v)", doc, err)
	}
	if kept, err := s.once(bucketVotes, epoch, []byte("other")); !errors.Is(err, errOtherOwn) || kept != nil {
		t.Errorf("signed %q for a period whose vote is forgotten (%v)", kept, err)
	}
	if kept, err := s.once(bucketVotes, last.Add(-time.Minute), []byte("other")); err != nil || string(kept) != "other" {
		t.Errorf("a period that was surely left out: %q (%v)", kept, err)
	}
}

func TestClockThatWasFarAheadLocksNothing(t *testing.T) {
	s := testStore(t, t.TempDir())
	for i := range 2 * keepPeriods { // half of them are kept
		if _, err := s.once(bucketVotes, epoch.AddDate(1, 0, i), []byte("ahead")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.once(bucketVotes, epoch, []byte("now")); !errors.Is(err, errOtherOwn) {
		t.Errorf("a period before forgotten ones: %v", err)
	}
	s = testStore(t, t.TempDir())
	for i := range keepPeriods {
		if _, err := s.once(bucketVotes, epoch.AddDate(1, 0, i), []byte("ahead")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		at := epoch.Add(time.Duration(i) * time.Hour)
		if kept, err := s.once(bucketVotes, at, []byte("now")); err != nil || string(kept) != "now" {
			t.Errorf("period %d after the clock was set right: %q (%v)", i, kept, err)
		}
		if _, err := s.once(bucketVotes, at, []byte("again")); !errors.Is(err, errOtherOwn) {
			t.Errorf("period %d again: %v", i, err)
		}
	}
}

func TestStateDirectoryServesOneProcess(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := openStore(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		start := time.Now()
		if _, err := openStore(dir); !errors.Is(err, ErrInUse) {
			t.Errorf("second one: %v", err)
		}
		if d := time.Since(start); d < storeLock || d > storeLock+time.Second {
			t.Errorf("gave up after %v", d)
		}
	})
	info, err := os.Stat(filepath.Join(dir, storeFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
}

func TestRelaysSurviveARestart(t *testing.T) {
	n, dir := directorytest.New(1), t.TempDir()
	s, g := testStore(t, dir), testRegistry(n, epoch)
	here, gone := n.NewRelay(1, epoch), n.NewRelay(2, epoch)
	for _, r := range []*directorytest.Relay{here, gone} {
		if _, err := upload(t, g, r, epoch); err != nil {
			t.Fatal(err)
		}
	}
	takeAll(g, epoch, always)
	g.relays[here.Descriptor.ID].service.FirstListed = epoch.Truncate(24 * time.Hour)
	if err := s.saveRelays(g); err != nil {
		t.Fatal(err)
	}
	if len(g.dirty) != 0 {
		t.Errorf("%d relays dirty after saving", len(g.dirty))
	}
	delete(g.relays, gone.Descriptor.ID)
	g.dirty[gone.Descriptor.ID] = changedGone
	if err := s.saveRelays(g); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}

	now := epoch.Add(10 * time.Minute)
	s, after := testStore(t, dir), testRegistry(n, now)
	if skipped, err := s.loadRelays(after, now); err != nil || skipped != 0 {
		t.Fatalf("%d passed over (%v)", skipped, err)
	}
	if len(after.relays) != 1 || !bytes.Equal(after.descriptor(here.Descriptor.ID), g.descriptor(here.Descriptor.ID)) {
		t.Fatalf("%d relays", len(after.relays))
	}
	if !after.since.Equal(epoch) {
		t.Errorf("history since %v, want %v", after.since, epoch)
	}
	r := after.relays[here.Descriptor.ID]
	if !r.history.LastReached.Equal(epoch) || !r.service.FirstListed.Equal(epoch.Truncate(24*time.Hour)) {
		t.Errorf("reached %v, listed %v", r.history.LastReached, r.service.FirstListed)
	}
	if known, running := after.count(now); known != 1 || running != 1 {
		t.Errorf("%d known, %d running: what was reached ten minutes ago still runs", known, running)
	}
	if p, due := after.take(now, nil); p != nil || due.After(now.Add(after.cadence.interval)) {
		t.Errorf("next test at %v", due)
	}
}

func TestDescriptorsThatExpiredWhileDownArePassedOver(t *testing.T) {
	n, dir := directorytest.New(1), t.TempDir()
	s, g := testStore(t, dir), testRegistry(n, epoch)
	if _, err := upload(t, g, n.NewRelay(1, epoch), epoch); err != nil {
		t.Fatal(err)
	}
	if err := s.saveRelays(g); err != nil {
		t.Fatal(err)
	}
	now := epoch.Add(48 * time.Hour)
	after := testRegistry(n, now)
	if skipped, err := s.loadRelays(after, now); err != nil || skipped != 1 {
		t.Errorf("%d passed over (%v)", skipped, err)
	}
	if known, _ := after.count(now); known != 0 || len(after.relays) != 1 {
		t.Errorf("%d with a descriptor of %d: the history stays", known, len(after.relays))
	}
}

func TestHistoryOfCheckpointsSurvives(t *testing.T) {
	n, s := directorytest.New(3), testStore(t, t.TempDir())
	if h, err := s.loadHistory(n.Network); h != nil || err != nil {
		t.Fatalf("of nothing: %v (%v)", h, err)
	}
	_, first := n.Sign(t, n.Consensus(0, nil), nil)
	_, second := n.Sign(t, n.Consensus(1, nil), first)
	for _, h := range []*directory.History{first, second} {
		if err := s.saveHistory(h); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.loadHistory(n.Network)
	if err != nil || got.Signed.Checkpoint != second.Signed.Checkpoint {
		t.Fatalf("newest: %v (%v)", got, err)
	}
	for i, h := range []*directory.History{first, second} {
		want, _ := h.Signed.Encode()
		if doc, err := s.checkpoint(uint64(i)); err != nil || !bytes.Equal(doc, want) {
			t.Errorf("record %d of the log: %v", i, err)
		}
	}
	if doc, err := s.checkpoint(2); doc != nil || err != nil {
		t.Errorf("a record that is not there: %q (%v)", doc, err)
	}
	if _, err := s.loadHistory(directorytest.New(3).Network); !errors.Is(err, errDamaged) {
		t.Errorf("of another network: %v", err)
	}
}

func TestWhatCouldNotBeSavedIsSavedLater(t *testing.T) {
	n, dir := directorytest.New(1), t.TempDir()
	s, g := testStore(t, dir), testRegistry(n, epoch)
	r := n.NewRelay(1, epoch)
	if _, err := upload(t, g, r, epoch); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if err := s.saveRelays(g); err == nil {
		t.Fatal("saved without a file")
	}
	if _, err := s.once(bucketSigned, epoch, []byte("x")); err == nil {
		t.Error("signed without a file")
	}
	s = testStore(t, dir)
	if err := s.saveRelays(g); err != nil {
		t.Fatal(err)
	}
	after := testRegistry(n, epoch)
	if _, err := s.loadRelays(after, epoch); err != nil || after.descriptor(r.Descriptor.ID) == nil {
		t.Errorf("lost (%v)", err)
	}
}

// A file that a crash or a disk has spoilt ends the start with an error that names it.
func TestADamagedFileIsAnErrorAtTheStart(t *testing.T) {
	n, dir := directorytest.New(1), t.TempDir()
	s, g := testStore(t, dir), testRegistry(n, epoch)
	for i := range 40 {
		if _, err := upload(t, g, n.NewRelay(i, epoch), epoch); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.saveRelays(g), s.close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, storeFile))
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for name, spoil := range map[string]func([]byte) []byte{
		"short":     func(b []byte) []byte { return b[:100] },
		"cut":       func(b []byte) []byte { return append(b[:5*page:5*page], make([]byte, len(b)-5*page)...) },
		"no pages":  func(b []byte) []byte { clear(b[2*page:]); return b },
		"not bbolt": func(b []byte) []byte { return bytes.Repeat([]byte("x"), len(b)) },
	} {
		state := t.TempDir()
		if err := os.WriteFile(filepath.Join(state, storeFile), spoil(bytes.Clone(whole)), 0o600); err != nil {
			t.Fatal(err)
		}
		a := &Authority{cfg: Config{Dir: state}, network: n.Network, log: slog.New(slog.DiscardHandler)}
		if err := a.open(); !errors.Is(err, errDamagedFile) || !strings.Contains(err.Error(), storeFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDamagedRecordsArePassedOver(t *testing.T) {
	n, s := directorytest.New(1), testStore(t, t.TempDir())
	g := testRegistry(n, epoch)
	for i := range 3 {
		if _, err := upload(t, g, n.NewRelay(i, epoch), epoch); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.saveRelays(g); err != nil {
		t.Fatal(err)
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketRelays)
		first, _ := b.Cursor().First()
		last, _ := b.Cursor().Last()
		return errors.Join(b.Put(first, []byte(`{"History":{"Up":-1}}`)), b.Put(last, []byte("x")),
			tx.Bucket(bucketMeta).Put(keyHistory, []byte("x")))
	})
	if err != nil {
		t.Fatal(err)
	}
	after := testRegistry(n, epoch)
	if skipped, err := s.loadRelays(after, epoch); err != nil || skipped != 2 || len(after.relays) != 1 {
		t.Errorf("%d passed over, %d loaded (%v)", skipped, len(after.relays), err)
	}
	if h, err := s.loadHistory(n.Network); h != nil || !errors.Is(err, errDamaged) {
		t.Errorf("checkpoint: %v (%v)", h, err)
	}
}
