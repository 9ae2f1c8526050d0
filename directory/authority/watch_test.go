package authority

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/admission/detect"
	"tunic/directory/directorytest"
	"tunic/directory/rules"
)

func testWatch(t *testing.T, n *directorytest.Network, s *store, dir string) *watch {
	t.Helper()
	w, err := openWatch(n.Network, s, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func journal(t *testing.T, dir string) (list []line) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, journalFile))
	if err != nil {
		t.Fatal(err)
	}
	for in := bufio.NewScanner(bytes.NewReader(b)); in.Scan(); {
		var l line
		d := json.NewDecoder(strings.NewReader(in.Text()))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			t.Fatalf("%s: %v", in.Text(), err)
		}
		list = append(list, l)
	}
	return list
}

// pack is a group of the first few relays of a vote.
func pack(v *directory.Vote, count int, code string) detect.Group {
	g := detect.Group{ID: directory.Digest{42}, Code: code, Since: epoch}
	for i := range count {
		g.Members, g.Joined = append(g.Members, v.Entries[i].ID), append(g.Joined, epoch.Add(time.Duration(i)*time.Minute))
	}
	return g
}

func TestGroupsGoIntoQuarantineAndComeOut(t *testing.T) {
	n, dir := directorytest.New(3), t.TempDir()
	s := testStore(t, dir)
	w := testWatch(t, n, s, dir)
	r := rules.Of(nil, nil, 0, 0)
	lasts := time.Duration(r.Detection.Quarantine) * time.Minute
	relays := n.Relays(6)
	vote := func(round int64) *directory.Vote {
		v := n.Vote(0, round, relays)
		w.groups = []detect.Group{pack(v, 3, detect.Batch)}
		w.judge(v, nil, r, v.ValidAfter)
		return v
	}
	v := vote(1)
	for i := range v.Entries {
		e, want := &v.Entries[i], directory.Quarantine{}
		if i < 3 {
			want = directory.Quarantine{Code: detect.Batch, Until: epoch.Add(lasts + time.Duration(i)*time.Minute)}
		}
		if e.Quarantine != want || e.Group.IsZero() != (i >= 3) {
			t.Errorf("relay %d: %v, group %v", i, e.Quarantine, e.Group)
		}
	}
	if _, err := v.Sign(n.SigningKey(0)); err != nil {
		t.Fatal(err)
	}
	vote(2)
	over := vote(int64(lasts/time.Hour) + 1)
	for i := range over.Entries {
		if e := &over.Entries[i]; e.Quarantine.Code != "" || e.Group.IsZero() != (i >= 3) {
			t.Errorf("relay %d when it is over: %v, group %v", i, e.Quarantine, e.Group)
		}
	}
	var whats []string
	for _, l := range journal(t, dir) {
		whats = append(whats, l.By+" "+l.What+" "+l.Code)
	}
	want := slices.Concat(slices.Repeat([]string{"detection begins batch"}, 3), slices.Repeat([]string{"detection ends batch"}, 3))
	if !slices.Equal(whats, want) {
		t.Errorf("the journal says %q", whats)
	}
}

func TestOperatorsDecide(t *testing.T) {
	n, dir := directorytest.New(3), t.TempDir()
	s := testStore(t, dir)
	w := testWatch(t, n, s, dir)
	r := rules.Of(nil, nil, 0, 0)
	relays := n.Relays(6)
	judge := func() *directory.Vote {
		v := n.Vote(0, 1, relays)
		w.groups = []detect.Group{pack(v, 3, detect.Cluster)}
		w.judge(v, nil, r, v.ValidAfter)
		return v
	}
	group, far := judge().Entries[0].Group, epoch.Add(100*oneDay)
	id := func(i int) directory.Digest { return directory.Digest(relays[i].ID) }
	for _, d := range []Decision{
		{Target: group, Action: Confirm, At: epoch, Until: far},
		{Target: id(1), Action: Lift, At: epoch, Note: "known to us"},
		{Target: id(5), Action: Confirm, At: epoch, Until: far},
	} {
		if err := w.decide(d, nil); err != nil {
			t.Fatal(err)
		}
	}
	w = testWatch(t, n, s, dir) // after a restart
	v := judge()
	for i, want := range []directory.Quarantine{{Code: detect.Cluster, Until: far}, {}, {Code: detect.Cluster, Until: far}, {}, {}, {Code: CodeManual, Until: far}} {
		if e := &v.Entries[i]; e.Quarantine != want || e.Group.IsZero() != (i != 0 && i != 2) {
			t.Errorf("relay %d: %v, group %v; want %v", i, e.Quarantine, e.Group, want)
		}
	}
	if err := w.decide(Decision{Target: id(1), Action: Forget, At: epoch}, nil); err != nil {
		t.Fatal(err)
	}
	if q := judge().Entries[1].Quarantine; !q.Until.Equal(far) {
		t.Errorf("with the group again: %v", q)
	}
	for _, bad := range []struct {
		Decision
		want error
	}{
		{Decision{Action: "ban", At: epoch}, errAction},
		{Decision{Action: Confirm, At: epoch, Until: epoch}, errUntil},
		{Decision{Action: Confirm, At: epoch, Until: epoch.AddDate(2, 0, 0)}, errUntil},
		{Decision{Action: Lift, At: epoch, Note: "two\nlines"}, errNote},
		{Decision{Action: Lift, At: epoch, Note: strings.Repeat("a", 201)}, errNote},
	} {
		if err := w.decide(bad.Decision, nil); !errors.Is(err, bad.want) {
			t.Errorf("%+v: %v, want %v", bad.Decision, err, bad.want)
		}
	}
}

func TestGroupIsCalledAsTheConsensusDoes(t *testing.T) {
	n := directorytest.New(1)
	v := n.Vote(0, 1, n.Relays(5))
	g := pack(v, 3, detect.Batch)
	relays := make([]directory.Relay, 5)
	for i := range relays {
		relays[i] = v.Entries[i].Relay
	}
	relays[0].Group, relays[1].Group, relays[4].Group = directory.Digest{1}, directory.Digest{1}, directory.Digest{2}
	if got := groupName(&g, n.Consensus(0, relays)); got != (directory.Digest{1}) {
		t.Errorf("two of three are called 1, and the group %v", got)
	}
	relays[1].Group = directory.Digest{}
	if got := groupName(&g, n.Consensus(0, relays)); got != g.ID {
		t.Errorf("one of three is called 1, and the group %v", got)
	}
}

func TestFindingsAgainstWhoStandsForARelay(t *testing.T) {
	n, dir := directorytest.New(1), t.TempDir()
	w := testWatch(t, n, testStore(t, dir), dir)
	relays := n.Relays(3)
	relays[0].Family = []directory.Digest{{1}, {2}}
	relays[1].Voucher = directory.Digest{3}
	for i := range relays {
		relays[i].Quarantine = directory.Quarantine{Code: "batch", Until: epoch.Add(oneDay)}
	}
	for i := range int64(30) { // a finding is of the day on which it began
		w.published(n.Consensus(i, relays), epoch)
	}
	want := []directory.Finding{
		{Against: directory.Digest{1}, Day: directory.Day(epoch)}, {Against: directory.Digest{2}, Day: directory.Day(epoch)},
		{Against: directory.Digest(relays[1].ID), Day: directory.Day(epoch)},
	}
	slices.SortFunc(want, func(a, b directory.Finding) int { return bytes.Compare(a.Against[:], b.Against[:]) })
	if got := listFindings(w.state.Findings, dayNumber(epoch), 365); !slices.Equal(got, want) {
		t.Errorf("findings %v, want %v", got, want)
	}
	if err := w.decide(Decision{Target: directory.Digest(relays[0].ID), Action: Lift, At: epoch}, []RelayReport{{ID: relays[0].ID, Families: relays[0].Family}}); err != nil {
		t.Fatal(err)
	}
	if got := listFindings(w.state.Findings, dayNumber(epoch), 365); len(got) != 1 {
		t.Errorf("with one lifted: %v", got)
	}
	if got := listFindings(w.state.Findings, dayNumber(epoch)+366, 365); len(got) != 0 || len(w.state.Findings) != 0 {
		t.Errorf("after a year: %v", got)
	}
	for i := range 2 * directory.MaxFindings {
		w.state.Findings[directory.Digest{byte(i), byte(i >> 8), 1}] = dayNumber(epoch) + i%2
	}
	if got := listFindings(w.state.Findings, dayNumber(epoch), 365); len(got) != directory.MaxFindings || len(w.state.Findings) != directory.MaxFindings || !got[0].Day.After(epoch) {
		t.Errorf("%d findings listed, %d kept", len(got), len(w.state.Findings))
	}
}

func TestDamagedStateOfDetectionStopsNothing(t *testing.T) {
	n, dir := directorytest.New(1), t.TempDir()
	s := testStore(t, dir)
	for _, doc := range []string{"{", `{"detector":{"arrivals":7}}`, `{"decisions":{"x":{}}}`} {
		if err := s.putMeta(keyWatch, []byte(doc)); err != nil {
			t.Fatal(err)
		}
		w := testWatch(t, n, s, dir)
		v := n.Vote(0, 1, n.Relays(3))
		w.run(nil, v.ValidAfter, rules.Of(nil, nil, 0, 0))
		w.judge(v, nil, rules.Of(nil, nil, 0, 0), epoch)
	}
}
