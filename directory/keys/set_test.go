package keys

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func newSet(t *testing.T, disk storage, authority bool, now time.Time) *Set {
	t.Helper()
	s, err := create(disk, authority, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkChain verifies all that a descriptor would show.
func checkChain(t *testing.T, s *Set, now time.Time) {
	t.Helper()
	_, signingCert := s.Signing()
	signing, err := signingCert.SigningKey(s.ID(), now)
	if err != nil {
		t.Fatal(err)
	}
	link, linkCert := s.Link()
	if got, err := linkCert.LinkKey(signing, now); err != nil || got != link || s.LinkKeys()[0].Public() != link {
		t.Fatalf("link key: %v", err)
	}
	if s.Authority() {
		note, noteCert := s.Note()
		if got, err := noteCert.NoteKey(s.ID(), now); err != nil || got != note.Public() {
			t.Fatalf("note key: %v", err)
		}
		return
	}
	circuit, circuitCert := s.Circuit()
	if got, err := circuitCert.CircuitKey(signing, now); err != nil || got != circuit || s.CircuitKey(circuit.ID()) == nil {
		t.Fatalf("circuit key: %v", err)
	}
}

func publish(t *testing.T, s *Set, now time.Time) {
	t.Helper()
	link, _ := s.Link()
	circuit, _ := s.Circuit()
	if err := s.Published(link, circuit, now); err != nil {
		t.Fatal(err)
	}
}

func renew(t *testing.T, s *Set, now time.Time) bool {
	t.Helper()
	changed, err := s.Renew(now)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func TestNewRelaySet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	s, err := LoadOrCreate(dir, testTime)
	if err != nil {
		t.Fatal(err)
	}
	checkChain(t, s, testTime)
	if k, _ := s.Note(); k != nil || s.Identity() != IdentityHere || s.Authority() {
		t.Error("not a relay's set")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Fatalf("files: %v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || unixModes() && info.Mode() != 0o600 {
			t.Errorf("%s: mode %v", e.Name(), info.Mode())
		}
	}
	again, err := LoadOrCreate(dir, testTime)
	if err != nil {
		t.Fatal(err)
	}
	l1, c1 := s.Link()
	l2, c2 := again.Link()
	if again.ID() != s.ID() || l1 != l2 || c1 != c2 || again.CircuitKeys()[0].ID() != s.CircuitKeys()[0].ID() {
		t.Error("a second start has other keys")
	}
	if _, err := LoadOrCreateAuthority(dir, testTime); !errors.Is(err, ErrOtherSet) {
		t.Errorf("as an authority: %v", err)
	}
	if id, err := VerifyProof(s.Proof().Append(nil, [32]byte{1}), [32]byte{1}, testTime); err != nil || id != s.ID() {
		t.Errorf("proof: %v", err)
	}
}

func TestNewAuthoritySet(t *testing.T) {
	dir := t.TempDir()
	s, err := LoadOrCreateAuthority(dir, testTime)
	if err != nil {
		t.Fatal(err)
	}
	checkChain(t, s, testTime)
	if p, _ := s.Circuit(); p != (CircuitPublic{}) || s.CircuitKeys() != nil {
		t.Error("an authority has a circuit key")
	}
	if _, err := LoadOrCreate(dir, testTime); !errors.Is(err, ErrOtherSet) {
		t.Errorf("as a relay: %v", err)
	}
	loaded, err := Load(dir)
	if err != nil || !loaded.Authority() || loaded.ID() != s.ID() {
		t.Errorf("Load: %v", err)
	}
}

func TestLoadChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); !errors.Is(err, ErrOffline) {
		t.Errorf("an empty directory: %v", err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("Load wrote %v", names)
	}
}

func TestCircuitKeyRotatesWithOverlap(t *testing.T) {
	disk, now := newDisk(), testTime
	s := newSet(t, disk, false, now)
	first, _ := s.Circuit()

	now = now.Add(20 * day) // never published: never replaced
	renew(t, s, now)
	if k, _ := s.Circuit(); k != first {
		t.Fatal("an unpublished key was replaced")
	}
	checkChain(t, s, now)
	publish(t, s, now)
	publish(t, s, now.Add(day)) // a repetition changes nothing

	now = now.Add(7*day - time.Second)
	if renew(t, s, now); len(s.CircuitKeys()) != 1 {
		t.Fatal("replaced before its time")
	}
	now = now.Add(time.Second)
	if !renew(t, s, now) {
		t.Fatal("Renew reports no change")
	}
	second, _ := s.Circuit()
	if second == first || s.CircuitKey(first.ID()) == nil || s.CircuitKey(second.ID()) == nil {
		t.Fatal("both keys must answer")
	}
	now = now.Add(10 * day) // the successor is not published: both serve on
	if renew(t, s, now); len(s.CircuitKeys()) != 2 {
		t.Fatal("erased before its successor was published")
	}
	publish(t, s, now)
	now = now.Add(2*day - time.Second)
	if renew(t, s, now); s.CircuitKey(first.ID()) == nil {
		t.Fatal("erased before one overlap was over")
	}
	now = now.Add(time.Second)
	renew(t, s, now)
	if s.CircuitKey(first.ID()) != nil || len(s.CircuitKeys()) != 1 {
		t.Error("the retired key answers")
	}
	if names, _ := disk.list(); slices.Contains(names, s.circuits.file(first)) || len(names) != 4 {
		t.Errorf("the retired key is on disk: %v", names)
	}
	checkChain(t, s, now)
}

func TestRetiredKeyGoesEvenIfTheDiskFails(t *testing.T) {
	disk, now := newDisk(), testTime
	s := newSet(t, disk, false, now)
	first, _ := s.Circuit()
	publish(t, s, now)
	now = now.Add(7 * day)
	renew(t, s, now)
	publish(t, s, now)
	now = now.Add(2 * day)
	disk.at, disk.how = disk.calls+1, refuse
	if _, err := s.Renew(now); !errors.Is(err, errFault) {
		t.Fatalf("the fault is not told: %v", err)
	}
	if s.CircuitKey(first.ID()) != nil {
		t.Error("the retired key answers")
	}
	renew(t, s, now)
	if names, _ := disk.list(); slices.Contains(names, s.circuits.file(first)) {
		t.Error("the erasure was not tried again")
	}
}

func TestSigningKeyRenewal(t *testing.T) {
	now := testTime
	s := newSet(t, newDisk(), false, now)
	old, _ := s.Signing()
	link, _ := s.Link()
	circuit, _ := s.Circuit()
	now = now.Add(19 * day)
	renew(t, s, now)
	if k, _ := s.Signing(); k.Public() != old.Public() {
		t.Error("replaced too early")
	}
	now = now.Add(day)
	if !renew(t, s, now) {
		t.Error("Renew reports no change")
	}
	if k, _ := s.Signing(); k.Public() == old.Public() {
		t.Error("not replaced with a third of its time left")
	}
	checkChain(t, s, now)
	l, _ := s.Link()
	if c, _ := s.Circuit(); c != circuit || l != link {
		t.Error("other keys changed")
	}
	if renew(t, s, now) {
		t.Error("a second Renew changes something")
	}
}

func TestAuthorityLinkKeyServesThirtyDaysMore(t *testing.T) {
	disk, now := newDisk(), testTime
	s := newSet(t, disk, true, now)
	first, _ := s.Link()
	note, _ := s.Note()
	for range 13 { // a year and more: it is replaced by hand only
		now = now.Add(29 * day)
		renew(t, s, now)
	}
	if k, _ := s.Link(); k != first {
		t.Fatal("an authority's link key was replaced by itself")
	}
	if _, cert := s.Link(); !cert.Expires.Equal(testTime.Add((365 + 30) * day)) {
		t.Errorf("its certificate expires %v", cert.Expires)
	}
	if err := s.RenewLink(now); err != nil {
		t.Fatal(err)
	}
	second, _ := s.Link()
	if second == first || len(s.LinkKeys()) != 2 || s.LinkKeys()[1].Public() != first {
		t.Fatal("both keys must answer")
	}
	if renew(t, s, now.Add(30*day-time.Second)); len(s.LinkKeys()) != 2 {
		t.Error("the old key stopped before 30 days")
	}
	renew(t, s, now.Add(30*day))
	if all := s.LinkKeys(); len(all) != 1 || all[0].Public() != second {
		t.Error("the old key answers after 30 days")
	}
	checkChain(t, s, now.Add(30*day))
	if k, _ := s.Note(); k.Public() != note.Public() {
		t.Error("the note key was replaced by itself")
	}
	if err := s.RenewNote(now.Add(30 * day)); err != nil {
		t.Fatal(err)
	}
	if k, _ := s.Note(); k.Public() == note.Public() {
		t.Error("RenewNote made no new key")
	}
}

func TestRenewLinkIsBounded(t *testing.T) {
	s := newSet(t, newDisk(), true, testTime)
	var err error
	for range maxEntries {
		err = s.RenewLink(testTime)
	}
	if err == nil || len(s.LinkKeys()) != maxEntries {
		t.Errorf("%d keys, %v", len(s.LinkKeys()), err)
	}
}

func TestOfflineIdentity(t *testing.T) {
	disk, now := newDisk(), testTime
	master := newSet(t, disk, true, now)
	online := disk.reboot()
	delete(online.files, identityFile)
	s := newSet(t, online, true, now)
	if s.ID() != master.ID() || s.Identity() != IdentityElsewhere {
		t.Fatalf("identity %v, %v", s.ID(), s.Identity())
	}
	if err := s.RenewSigning(now, signingLife); !errors.Is(err, ErrOffline) {
		t.Errorf("RenewSigning without the identity: %v", err)
	}
	if err := s.Unlock([]byte("p")); !errors.Is(err, ErrOffline) {
		t.Errorf("Unlock: %v", err)
	}
	now = now.Add(25 * day) // due, but still good
	renew(t, s, now)
	checkChain(t, s, now)
	if next := s.Next(now); !next.Equal(now.Add(minPause)) {
		t.Errorf("Next is %v after now", next.Sub(now))
	}

	if err := master.RenewSigning(now, 100*day); err != nil {
		t.Fatal(err)
	}
	online.files[signingFile] = disk.files[signingFile] // the operator carries it over
	if !renew(t, s, now) {
		t.Error("the new signing key was not taken up")
	}
	checkChain(t, s, now)
	now = now.Add(99 * day)
	renew(t, s, now)
	checkChain(t, s, now)

	now = now.Add(2 * day)
	if _, err := s.Renew(now); !errors.Is(err, ErrSigningExpired) || !errors.Is(err, ErrOffline) {
		t.Errorf("expired: %v", err)
	}
	if _, err := create(online.reboot(), true, now); !errors.Is(err, ErrSigningExpired) {
		t.Errorf("start with an expired key: %v", err)
	}
	if _, err := load(online.reboot(), true); err != nil {
		t.Errorf("Load of an expired set: %v", err)
	}

	if _, err := s.Renew(now.Add(-300 * day)); !errors.Is(err, ErrNotYet) || errors.Is(err, ErrSigningExpired) {
		t.Errorf("with a clock that is far behind: %v", err)
	}

	stranger := newDisk()
	newSet(t, stranger, true, now)
	online.files[signingFile] = stranger.files[signingFile]
	if _, err := s.Renew(now); !errors.Is(err, ErrOtherSet) {
		t.Errorf("a stranger's signing key: %v", err)
	}
}

func TestOfflineNoteCertificateIsTakenUp(t *testing.T) {
	disk, now := newDisk(), testTime
	master := newSet(t, disk, true, now)
	if err := master.RenewSigning(now, MaxSigningLife); err != nil {
		t.Fatal(err)
	}
	online := disk.reboot()
	delete(online.files, identityFile)
	s := newSet(t, online, true, now)
	now = now.Add(360 * day)
	renew(t, master, now)
	online.files[noteFile] = disk.files[noteFile]
	renew(t, s, now)
	if _, cert := s.Note(); !cert.Expires.After(now.Add(365 * day)) {
		t.Errorf("note certificate expires %v", cert.Expires)
	}
}

func TestSigningLifeIsBounded(t *testing.T) {
	s := newSet(t, newDisk(), false, testTime)
	for _, life := range []time.Duration{0, -1, time.Second, MaxSigningLife + 1} {
		if err := s.RenewSigning(testTime, life); err == nil {
			t.Errorf("life %v is accepted", life)
		}
	}
}

func TestLockedIdentity(t *testing.T) {
	dir := t.TempDir()
	s, err := LoadOrCreate(dir, testTime)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Protect([]byte("pass")); err != nil {
		t.Fatal(err)
	}
	locked, err := LoadOrCreate(dir, testTime)
	if err != nil {
		t.Fatal(err)
	}
	if locked.ID() != s.ID() || locked.Identity() != IdentityLocked {
		t.Fatalf("identity %v, %v", locked.ID(), locked.Identity())
	}
	now := testTime.Add(31 * day)
	if _, err := locked.Renew(now); !errors.Is(err, ErrSigningExpired) || !errors.Is(err, ErrLocked) {
		t.Errorf("expired: %v", err)
	}
	if err := locked.Protect(nil); !errors.Is(err, ErrLocked) {
		t.Errorf("Protect while locked: %v", err)
	}
	if err := locked.Unlock([]byte("wrong")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	if err := locked.Unlock([]byte("pass")); err != nil {
		t.Fatal(err)
	}
	renew(t, locked, now)
	checkChain(t, locked, now)
	if err := locked.Protect(nil); err != nil {
		t.Fatal(err)
	}
	if open, err := Load(dir); err != nil || open.Identity() != IdentityHere {
		t.Errorf("after Protect without a passphrase: %v", err)
	}
}

func TestBrokenFilesAreRefused(t *testing.T) {
	base := newDisk()
	newSet(t, base, false, testTime)
	for name := range base.files {
		for what, change := range map[string]func([]byte) []byte{
			"empty":     func([]byte) []byte { return nil },
			"cut":       func(b []byte) []byte { return b[:len(b)-1] },
			"flipped":   func(b []byte) []byte { b[len(b)/2] ^= 2; return b },
			"signature": func(b []byte) []byte { b[len(b)-10] ^= 2; return b },
		} {
			disk := base.reboot()
			b, _ := disk.read(name)
			disk.files[name] = change(b)
			if _, err := load(disk, false); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrSignature) {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
	}
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for n := range base.files {
			if strings.HasPrefix(n, "circuit-") && !yield(n) {
				return
			}
		}
	}) {
		disk := base.reboot()
		disk.files["circuit-0000000000000000.key"] = disk.files[name]
		if _, err := load(disk, false); !errors.Is(err, ErrMalformed) {
			t.Errorf("a key under another's name: %v", err)
		}
	}
	disk := base.reboot()
	delete(disk.files, identityFile)
	delete(disk.files, signingFile)
	if _, err := create(disk, false, testTime); !errors.Is(err, ErrOffline) {
		t.Errorf("keys without an identity: %v", err)
	}
	disk = base.reboot()
	disk.files[identityFile] = EncodeIdentity(GenerateIdentity(), nil)
	if _, err := load(disk, false); !errors.Is(err, ErrOtherSet) {
		t.Errorf("another identity: %v", err)
	}
}

func TestClockTurnedBack(t *testing.T) {
	disk := newDisk()
	future := testTime.Add(400 * day)
	s := newSet(t, disk, false, future)
	publish(t, s, future)
	renew(t, s, future.Add(7*day))
	publish(t, s, future.Add(7*day))

	s = newSet(t, disk.reboot(), false, testTime)
	checkChain(t, s, testTime)
	if len(s.CircuitKeys()) != 2 {
		t.Fatalf("%d keys", len(s.CircuitKeys()))
	}
	renew(t, s, testTime.Add(2*day))
	if len(s.CircuitKeys()) != 1 {
		t.Error("the old key waits for the future")
	}
	newest, _ := s.Circuit()
	renew(t, s, testTime.Add(7*day))
	if k, _ := s.Circuit(); k == newest {
		t.Error("rotation waits for the future")
	}
	checkChain(t, s, testTime.Add(7*day))
}

func TestRenewRefusesAnAbsurdClock(t *testing.T) {
	s := newSet(t, newDisk(), false, testTime)
	for _, now := range []time.Time{{}, time.Unix(-1, 0), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if _, err := s.Renew(now); err == nil {
			t.Errorf("renewed in the year %d", now.Year())
		}
	}
	checkChain(t, s, testTime)
}

func TestNextStaysBetweenAMinuteAndAnHour(t *testing.T) {
	s := newSet(t, newDisk(), false, testTime)
	publish(t, s, testTime)
	if d := s.Next(testTime).Sub(testTime); d != maxPause {
		t.Errorf("at first %v", d)
	}
	near := testTime.Add(7*day - 10*time.Minute)
	if d := s.Next(near).Sub(near); d != 10*time.Minute {
		t.Errorf("ten minutes before the rotation %v", d)
	}
	late := testTime.Add(8 * day)
	if d := s.Next(late).Sub(late); d != minPause {
		t.Errorf("after it %v", d)
	}
}

func TestItems(t *testing.T) {
	s := newSet(t, newDisk(), false, testTime)
	publish(t, s, testTime)
	now := testTime.Add(7 * day)
	renew(t, s, now)
	publish(t, s, now)
	var kinds []string
	for _, it := range s.Items(now) {
		kinds = append(kinds, it.Kind)
		if it.Retired && !it.Due.Equal(now.Add(2*day)) {
			t.Errorf("%s is erased %v", it.Kind, it.Due)
		}
	}
	if want := []string{"identity", "signing key", "link key", "circuit key", "circuit key"}; !slices.Equal(kinds, want) {
		t.Errorf("kinds %v, want %v", kinds, want)
	}
}

func TestReadersNeverWaitForTheDisk(t *testing.T) {
	disk := &blocking{faulty: newDisk()}
	s := newSet(t, disk, false, testTime)
	circuit, _ := s.Circuit()
	arrived := make(chan struct{})
	disk.gate, disk.arrived = make(chan struct{}), arrived
	done := make(chan error)
	go func() {
		_, err := s.Renew(testTime.Add(20 * day)) // a new signing key: writes
		done <- err
	}()
	<-arrived
	if s.CircuitKey(circuit.ID()) == nil || s.Proof() == nil || len(s.LinkKeys()) != 1 { // hangs if they wait
		t.Error("keys are missing during Renew")
	}
	close(disk.gate)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// blocking holds the first write until the gate opens.
type blocking struct {
	*faulty
	gate, arrived chan struct{}
}

func (b *blocking) write(name string, data []byte) error {
	if b.arrived != nil {
		close(b.arrived)
		b.arrived = nil
		<-b.gate
	}
	return b.faulty.write(name, data)
}

func TestCircuitKeyLookupDoesNotAllocate(t *testing.T) {
	s := newSet(t, newDisk(), false, testTime)
	id := s.CircuitKeys()[0].ID()
	if n := testing.AllocsPerRun(100, func() { runtime.KeepAlive(s.CircuitKey(id)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
