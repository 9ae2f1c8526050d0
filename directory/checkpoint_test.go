package directory_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

func TestCheckpointText(t *testing.T) {
	c := &directory.Checkpoint{
		Origin: "test.example", Size: 7, Root: tlog.Hash{1}, ValidAfter: epoch,
		Digest: directory.Digest{2}, Length: 12345, Previous: directory.Digest{3},
	}
	want := "test.example\n7\nAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nvalid-after 2026-01-02T12:00:00.000Z\n" +
		"digest AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nlength 12345\nprevious AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
	if c.Text() != want {
		t.Errorf("text\n%s\nwant\n%s", c.Text(), want)
	}
	got, err := directory.ParseCheckpoint(want)
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("ParseCheckpoint = %+v, %v", got, err)
	}
	for name, bad := range map[string]string{
		"empty":          "",
		"three lines":    strings.Join(strings.SplitAfter(want, "\n")[:3], ""),
		"origin":         strings.Replace(want, "test.example", "test example", 1),
		"size":           strings.Replace(want, "\n7\n", "\n07\n", 1),
		"negative size":  strings.Replace(want, "\n7\n", "\n-7\n", 1),
		"size of 2^41":   strings.Replace(want, "\n7\n", "\n2199023255552\n", 1),
		"root":           strings.Replace(want, "\nAQA", "\nAQ", 1),
		"root not plain": strings.Replace(want, "AAA=\n", "AAB=\n", 1),
		"length":         strings.Replace(want, "length 12345", "length 33554433", 1),
		"more":           want + "more\n",
		"cut":            want[:len(want)-1],
	} {
		if _, err := directory.ParseCheckpoint(bad); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

// Every reader of notes and of tlog-checkpoints can read ours.
func TestSignedCheckpointIsANote(t *testing.T) {
	net := directorytest.New(3)
	b, _ := net.Sign(t, net.Consensus(0, nil), nil)
	for i, a := range net.Keys {
		v, err := a.Note.Public().Verifier(net.Name)
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Open(b.Signed.Note(), note.VerifierList(v))
		if err != nil || len(n.Sigs) != 1 || n.Text != b.Signed.Checkpoint.Text() {
			t.Errorf("authority %d: %v, %v", i, n, err)
		}
	}
}

func TestSignersCountsEachAuthorityOnce(t *testing.T) {
	net, other := directorytest.New(3), directorytest.New(3)
	c := net.Consensus(0, nil)
	from, until := epoch.Add(-time.Hour), epoch.Add(time.Hour)
	for name, tc := range map[string]struct {
		by     []int
		change func(s *directory.SignedCheckpoint)
		want   []int
	}{
		"all":                 {[]int{0, 1, 2}, func(*directory.SignedCheckpoint) {}, []int{0, 1, 2}},
		"two":                 {[]int{2, 0}, func(*directory.SignedCheckpoint) {}, []int{0, 2}},
		"the same line twice": {[]int{0}, func(s *directory.SignedCheckpoint) { s.Signatures = append(s.Signatures, s.Signatures[0]) }, []int{0}},
		"signed twice":        {[]int{0}, func(s *directory.SignedCheckpoint) { _ = s.Sign(net.Keys[0].NoteCert, net.Keys[0].Note) }, []int{0}},
		"with two keys, one certificate": {[]int{0}, func(s *directory.SignedCheckpoint) {
			k := keys.GenerateNote()
			_ = s.Sign(net.Keys[0].Identity.CertifyNote(k.Public(), from, until), k)
		}, []int{0}},
		"one key for two authorities": {[]int{0}, func(s *directory.SignedCheckpoint) {
			_ = s.Sign(net.Keys[1].Identity.CertifyNote(net.Keys[0].Note.Public(), from, until), net.Keys[0].Note)
		}, []int{0}},
		"one wrong signature": {[]int{0, 1, 2}, func(s *directory.SignedCheckpoint) {
			blob := bytes.Clone(s.Signatures[1].Blob)
			blob[20] ^= 1
			s.Signatures[1].Blob = blob
		}, []int{0, 2}},
		"a wrong one before the right one": {[]int{0}, func(s *directory.SignedCheckpoint) {
			bad := directory.NoteSignature{Name: s.Signatures[0].Name, Blob: bytes.Clone(s.Signatures[0].Blob)}
			bad.Blob[20] ^= 1
			s.Signatures = slices.Insert(s.Signatures, 0, bad)
		}, []int{0}},
		"a stranger": {[]int{0}, func(s *directory.SignedCheckpoint) { _ = s.Sign(other.Keys[1].NoteCert, other.Keys[1].Note) }, []int{0}},
		"a witness": {[]int{0}, func(s *directory.SignedCheckpoint) {
			s.Signatures = append(s.Signatures, directory.NoteSignature{Name: "witness.example/w1", Blob: make([]byte, 76)})
		}, []int{0}},
		"no certificates": {[]int{0, 1}, func(s *directory.SignedCheckpoint) { s.Certificates = nil }, nil},
		"certificate of another kind": {[]int{0, 1}, func(s *directory.SignedCheckpoint) {
			for i := range s.Certificates {
				if s.Certificates[i].Signer == net.Authorities[0].ID {
					s.Certificates[i] = net.Keys[0].SigningCert
				}
			}
		}, []int{1}},
		"expired certificate": {[]int{1}, func(s *directory.SignedCheckpoint) {
			k := net.Keys[0]
			_ = s.Sign(k.Identity.CertifyNote(k.Note.Public(), from, epoch), k.Note)
		}, []int{1}},
		"another text": {[]int{0, 1}, func(s *directory.SignedCheckpoint) { s.Checkpoint.Length++ }, nil},
		"another name": {[]int{0, 1}, func(s *directory.SignedCheckpoint) { s.Checkpoint.Origin = "other.example" }, nil},
	} {
		s, _, _ := net.Endorse(t, c, nil, tc.by...)
		tc.change(s)
		var want []keys.RelayID
		for _, i := range tc.want {
			want = append(want, net.Authorities[i].ID)
		}
		if got := s.Signers(net.Network); !slices.Equal(got, want) {
			t.Errorf("%s: signers %v, want %v", name, got, want)
		}
	}
}

func TestNoteKeyOfTheNetworkFileNeedsNoCertificate(t *testing.T) {
	net := directorytest.New(3)
	s, _, _ := net.Endorse(t, net.Consensus(0, nil), nil)
	s.Certificates = nil
	net.Authorities[1].NoteKey = net.Keys[1].Note.Public()
	if got := s.Signers(net.Network); len(got) != 1 || got[0] != net.Authorities[1].ID {
		t.Errorf("signers %v, want the second authority", got)
	}
}

func TestMerge(t *testing.T) {
	net, other := directorytest.New(3), directorytest.New(3)
	c := net.Consensus(0, nil)
	a, _, _ := net.Endorse(t, c, nil, 0)
	b, _, _ := net.Endorse(t, c, nil, 1)
	bad, _, _ := net.Endorse(t, c, nil, 2)
	bad.Signatures[0].Blob[30] ^= 1
	if err := bad.Sign(other.Keys[0].NoteCert, other.Keys[0].Note); err != nil {
		t.Fatal(err)
	}
	for i, tc := range []struct {
		from *directory.SignedCheckpoint
		want bool
	}{{b, true}, {b, false}, {bad, false}, {a, false}} {
		if changed, err := a.Merge(net.Network, tc.from); changed != tc.want || err != nil {
			t.Errorf("merge %d: %v, %v; want %v", i, changed, err, tc.want)
		}
	}
	if len(a.Signatures) != 2 || len(a.Certificates) != 2 || len(a.Signers(net.Network)) != 2 {
		t.Errorf("after merging: %d signatures, %d certificates", len(a.Signatures), len(a.Certificates))
	}
	d := net.Consensus(1, nil)
	later, _, _ := net.Endorse(t, d, nil, 2)
	if _, err := a.Merge(net.Network, later); !errors.Is(err, directory.ErrMalformed) {
		t.Errorf("another checkpoint: %v", err)
	}
}

func TestSignedCheckpointComesBack(t *testing.T) {
	net := directorytest.New(3)
	s, _, _ := net.Endorse(t, net.Consensus(0, nil), nil)
	s.Signatures = append(s.Signatures, directory.NoteSignature{Name: "witness.example/w1", Blob: make([]byte, 76)})
	doc, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := directory.ParseSignedCheckpoint(doc)
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%v: comes back as\n%+v, want\n%+v", err, got, s)
	}
	text := string(doc)
	certs := text[strings.Index(text, "certificate "):strings.Index(text, "note ")]
	oneCert := certs[:strings.IndexByte(certs, '\n')+1]
	mark := strings.Index(text, "— ")
	lastLine := text[strings.LastIndex(text, "— "):]
	for name, bad := range map[string]string{
		"cut":                  text[:len(text)-1],
		"more":                 text + "x",
		"a certificate twice":  strings.Replace(text, oneCert, oneCert+oneCert, 1),
		"no empty line":        text[:mark-1] + text[mark:],
		"no mark":              text[:mark] + text[mark+len("— "):],
		"short signature":      strings.TrimSuffix(text, lastLine) + "— w AAAA\n",
		"name with plus":       strings.Replace(text, "witness.example", "witness+example", 1),
		"base64 not canonical": strings.TrimSuffix(text, "=\n") + "B\n",
		"wrong length":         strings.Replace(text, "note ", "note 1", 1),
	} {
		if _, err := directory.ParseSignedCheckpoint([]byte(bad)); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := directory.ParseSignedCheckpoint(make([]byte, directory.MaxSignedCheckpoint+1)); !errors.Is(err, directory.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	s.Signatures = make([]directory.NoteSignature, 101)
	if _, err := s.Encode(); !errors.Is(err, directory.ErrMalformed) {
		t.Errorf("101 signatures: %v", err)
	}
}

// chain returns a majority-signed history of that many consensuses.
func chain(t *testing.T, net *directorytest.Network, count int64) *directory.History {
	var h *directory.History
	for i := range count {
		_, h = net.Sign(t, net.Consensus(i, nil), h, 0, 1)
	}
	return h
}

func TestHistoryNext(t *testing.T) {
	net := directorytest.New(3)
	h := chain(t, net, 5)
	if err := h.Verify(net.Network); err != nil || h.Signed.Checkpoint.Size != 4 {
		t.Errorf("size %d: %v", h.Signed.Checkpoint.Size, err)
	}
	doc := []byte("the next consensus")
	c, peaks, err := h.Next(net.Network, net.Round(5).ValidAfter, doc)
	if err != nil {
		t.Fatal(err)
	}
	if c.Size != 5 || len(peaks) != 2 || c.Previous != h.Signed.Checkpoint.Digest || c.Digest != directory.DigestOf(doc) || c.Length != int64(len(doc)) || c.Origin != net.Name {
		t.Errorf("%+v with %d peaks", c, len(peaks))
	}
	for name, at := range map[string]int64{"the same period": 4, "an older one": 3} {
		if _, _, err := h.Next(net.Network, net.Round(at).ValidAfter, doc); !errors.Is(err, directory.ErrOlder) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := *h
	bad.Peaks = []tlog.Hash{{1}}
	if err := bad.Verify(net.Network); !errors.Is(err, directory.ErrMalformed) {
		t.Errorf("wrong peaks: %v", err)
	}
	bad.Peaks = nil
	if err := bad.Verify(net.Network); !errors.Is(err, directory.ErrMalformed) {
		t.Errorf("no peaks: %v", err)
	}
	if _, _, err := bad.Next(net.Network, net.Round(5).ValidAfter, doc); !errors.Is(err, directory.ErrMalformed) {
		t.Errorf("next without peaks: %v", err)
	}
	s, _, short := net.Endorse(t, net.Consensus(5, nil), h, 2)
	if err := short.Verify(net.Network); !errors.Is(err, directory.ErrShort) {
		t.Errorf("one signature: %v", err)
	}
	s.Checkpoint.Origin = "other"
	if err := s.Verify(net.Network); !errors.Is(err, directory.ErrOtherNetwork) {
		t.Errorf("another origin: %v", err)
	}
}

// The log in its least form against package tlog over all records.
func TestLogIsATransparencyLog(t *testing.T) {
	var log directory.Log
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (hashes []tlog.Hash, err error) {
		for _, i := range indexes {
			hashes = append(hashes, stored[i])
		}
		return hashes, nil
	})
	for i := range int64(200) {
		want, err := tlog.TreeHash(i, reader)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := log.Root(); err != nil || got != want || log.Size != i {
			t.Fatalf("root of %d records: %v, %v; want %v", i, got, err, want)
		}
		record := []byte{byte(i), 'r'}
		hashes, err := tlog.StoredHashes(i, record, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		before := slices.Clone(log.Peaks)
		next, err := log.Append(record)
		if err != nil || !slices.Equal(before, log.Peaks) {
			t.Fatalf("append record %d: %v", i, err)
		}
		log = next
	}
	for _, bad := range []directory.Log{{Size: 1}, {Size: -1}, {Size: 3, Peaks: make([]tlog.Hash, 1)}, {Size: 1 << 62, Peaks: make([]tlog.Hash, 1)}} {
		if _, err := bad.Root(); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("root of %+v: %v", bad, err)
		}
		if _, err := bad.Append(nil); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("append to %+v: %v", bad, err)
		}
	}
}
