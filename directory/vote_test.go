package directory_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

func TestVoteComesBack(t *testing.T) {
	net := directorytest.New(3)
	for _, v := range []*directory.Vote{net.Vote(0, 0, nil), fullVote(t, net)} {
		doc, err := v.Sign(net.SigningKey(0))
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Entries) == 0 {
			v.Entries = []directory.VoteEntry{}
		}
		got, err := directory.ParseVote(doc, net.Network)
		if err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if !reflect.DeepEqual(got, v) {
			t.Errorf("comes back as\n%+v, want\n%+v", got, v)
		}
		if got.Digest() != directory.DigestOf(doc) {
			t.Errorf("digest %v", got.Digest())
		}
	}
}

func TestVoteEntry(t *testing.T) {
	net := directorytest.New(1)
	v := fullVote(t, directorytest.New(3))
	for i := range v.Entries {
		if v.Entry(v.Entries[i].ID) != &v.Entries[i] {
			t.Errorf("entry %d is not found", i)
		}
	}
	if v.Entry(net.NewRelay(9, epoch).Descriptor.ID) != nil {
		t.Error("an entry is found for a relay without one")
	}
}

// What authorities think of a relay may differ, and who was first to list it;
// what its descriptor says does not.
func TestFactsAreWhatTheDescriptorSays(t *testing.T) {
	net := directorytest.New(1)
	e := net.Vote(0, 0, net.Relays(1)).Entries[0]
	facts := e.Facts()
	same := e
	same.Flags, same.Unknown, same.Weight, same.Measured, same.FirstListed = 0, directory.Running, 1, 2, epoch
	same.Age, same.AS, same.Country, same.Group, same.Refused = 3, 4, "DE", directory.Digest{5}, "as"
	if same.Facts() != facts {
		t.Error("an opinion changes the facts")
	}
	for name, change := range map[string]func(e *directory.VoteEntry){
		"identity":   func(e *directory.VoteEntry) { e.ID[0]++ },
		"nickname":   func(e *directory.VoteEntry) { e.Nickname = "x" },
		"descriptor": func(e *directory.VoteEntry) { e.Descriptor[0]++ },
		"published":  func(e *directory.VoteEntry) { e.Published = e.Published.Add(time.Millisecond) },
		"address":    func(e *directory.VoteEntry) { e.Addrs = net.NewRelay(7, epoch).Descriptor.Addrs },
		"link key":   func(e *directory.VoteEntry) { e.LinkKey[0]++ },
		"hop key":    func(e *directory.VoteEntry) { e.CircuitKey[0]++ },
		"versions":   func(e *directory.VoteEntry) { e.HopVersions = directory.VersionsOf(2) },
		"ports":      func(e *directory.VoteEntry) { e.Ports, _ = directory.ParsePortSummary("1") },
		"ports6":     func(e *directory.VoteEntry) { e.Ports6, _ = directory.ParsePortSummary("1") },
		"family":     func(e *directory.VoteEntry) { e.Family = []directory.Digest{{1}} },
	} {
		other := e
		change(&other)
		if other.Facts() == facts {
			t.Errorf("%s is not among the facts", name)
		}
	}
}

func TestVoteEveryByteCounts(t *testing.T) {
	net := directorytest.New(3)
	v := net.Vote(0, 0, net.Relays(2))
	doc, err := v.Sign(net.SigningKey(0))
	if err != nil {
		t.Fatal(err)
	}
	for i := range doc {
		bad := bytes.Clone(doc)
		bad[i] ^= 1
		if _, err := directory.ParseVote(bad, net.Network); err == nil {
			t.Fatalf("byte %d flipped: accepted", i)
		}
		if _, err := directory.ParseVote(doc[:i], net.Network); err == nil {
			t.Fatalf("cut to %d bytes: accepted", i)
		}
	}
}

func TestVoteRefusesAuthors(t *testing.T) {
	net, other := directorytest.New(3), directorytest.New(3)
	for name, tc := range map[string]struct {
		change func(v *directory.Vote)
		key    *keys.SigningKey
		want   error
	}{
		"as it should be":     {func(v *directory.Vote) {}, net.SigningKey(0), nil},
		"another network":     {func(v *directory.Vote) { v.Network = other.Digest() }, net.SigningKey(0), directory.ErrOtherNetwork},
		"not an authority":    {func(v *directory.Vote) { v.Author = other.Authorities[0].ID }, net.SigningKey(0), directory.ErrUnknown},
		"another's name":      {func(v *directory.Vote) { v.Author = net.Authorities[1].ID }, net.SigningKey(0), directory.ErrSignature},
		"another's key":       {func(v *directory.Vote) {}, net.SigningKey(1), directory.ErrSignature},
		"a note key's papers": {func(v *directory.Vote) { v.Signing = net.Keys[0].NoteCert }, net.SigningKey(0), directory.ErrSignature},
		"key not valid then":  {func(v *directory.Vote) { v.ValidAfter = epoch.Add(20 * 365 * 24 * time.Hour) }, net.SigningKey(0), directory.ErrSignature},
	} {
		v := net.Vote(0, 0, net.Relays(1))
		tc.change(v)
		doc, err := v.Sign(tc.key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := directory.ParseVote(doc, net.Network); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func TestVoteRefuses(t *testing.T) {
	net := directorytest.New(3)
	v := fullVote(t, net)
	doc, err := v.Sign(net.SigningKey(0))
	if err != nil {
		t.Fatal(err)
	}
	text := directory.WithoutSignature(doc)
	first := strings.Index(text, "\nrelay ") + 1
	second := strings.Index(text[first+1:], "\nrelay ") + 2 + first
	for name, bad := range map[string]string{
		"fewer relays than it says": strings.Replace(text, "relays 5", "relays 6", 1),
		"more relays than it says":  strings.Replace(text, "relays 5", "relays 4", 1),
		"50001 relays":              strings.Replace(text, "relays 5", "relays 50001", 1),
		"a relay twice":             strings.Replace(text[:second], "relays 5", "relays 6", 1) + text[first:],
		"relays out of order":       text[:first] + text[second:] + text[first:second],
		"parameter twice":           strings.Replace(text, "param x 7\n", "param x 7\nparam x 7\n", 1),
		"parameter of 33 bits":      strings.Replace(text, "param x 7\n", "param x 4294967296\n", 1),
		"parameter -0":              strings.Replace(text, "param x 7\n", "param x -0\n", 1),
		"flag it does not vote on":  strings.Replace(text, "known-flags Exit Fast", "known-flags Exit", 1),
		"unknown and set":           strings.Replace(text, "unknown Running Stable", "unknown Running Stable Valid", 1),
		"nothing unknown":           strings.Replace(text, "unknown Running Stable\n", "unknown\n", 1),
		"measured 0":                strings.Replace(text, "measured 12", "measured 0", 1),
		"weight too great":          strings.Replace(text, "weight 1000\n", "weight 1000000001\n", 1),
		"no method":                 strings.Replace(text, "methods 2\n", "methods\n", 1),
		"history cut short":         strings.Replace(text, "\npeaks ", "\npeaks", 1),
		"relay without weight":      strings.Replace(text, "weight 1000\n", "", 1),
		"date with a time":          strings.Replace(text, "listed 2026-01-02\n", "listed 2026-01-02T00:00:00.000Z\n", 1),
		"trailing line":             text + "the end\n",
	} {
		if bad == text {
			t.Fatalf("%s: nothing changed in\n%s", name, text)
		}
		sig := net.SigningKey(0).Sign(keys.LabelVote, []byte(bad))
		_, err := directory.ParseVote([]byte(bad+"signature "+encode64(sig[:])+"\n"), net.Network)
		if !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := directory.ParseVote(make([]byte, directory.MaxVote+1), net.Network); !errors.Is(err, directory.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestVoteOutOfBoundsDoesNotEncode(t *testing.T) {
	net := directorytest.New(3)
	for name, change := range map[string]func(v *directory.Vote){
		"order":               func(v *directory.Vote) { v.Entries[0], v.Entries[1] = v.Entries[1], v.Entries[0] },
		"a relay twice":       func(v *directory.Vote) { v.Entries[1] = v.Entries[0] },
		"unknown and set":     func(v *directory.Vote) { v.Entries[0].Unknown = directory.Valid },
		"flag not voted on":   func(v *directory.Vote) { v.Known = directory.Valid },
		"weight":              func(v *directory.Vote) { v.Entries[0].Weight = directory.MaxWeight + 1 },
		"nickname":            func(v *directory.Vote) { v.Entries[0].Nickname = "a b" },
		"peaks without a log": func(v *directory.Vote) { v.Previous.Peaks = append(v.Previous.Peaks, v.Previous.Peaks...) },
		"parameters":          func(v *directory.Vote) { v.Params = make([]directory.Param, 1) },
		"no method":           func(v *directory.Vote) { v.Methods = 0 },
	} {
		v := fullVote(t, net)
		change(v)
		if _, err := v.Sign(net.SigningKey(0)); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	v := net.Vote(0, 0, make([]directory.Relay, directory.MaxRelays+1))
	if _, err := v.Sign(net.SigningKey(0)); !errors.Is(err, directory.ErrTooLarge) {
		t.Errorf("50001 relays: %v", err)
	}
}

func TestEnvelopeComesBack(t *testing.T) {
	net := directorytest.New(3)
	env := newEnvelope(t, net, 2, 0, 1)
	if len(env.Signatures) != 3 {
		t.Fatalf("%d signatures", len(env.Signatures))
	}
	for _, e := range []*directory.Envelope{env, env.Bare(), newEnvelope(t, net)} {
		doc, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := directory.ParseEnvelope(doc, net.Network)
		if err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if !reflect.DeepEqual(got, e) {
			t.Errorf("comes back as\n%+v, want\n%+v", got, e)
		}
	}
	if env.Bare().Digest() != directory.DigestOf(env.Vote) || env.Bare().Vote != nil {
		t.Error("a bare envelope loses its digest or keeps its vote")
	}
}

func TestCountersignOnlyOnce(t *testing.T) {
	net := directorytest.New(3)
	env := newEnvelope(t, net, 1, 1, 0, 1)
	if len(env.Signatures) != 2 {
		t.Errorf("%d signatures of two authorities", len(env.Signatures))
	}
}

func TestEnvelopeRefuses(t *testing.T) {
	net, other := directorytest.New(3), directorytest.New(3)
	encode := func(change func(e *directory.Envelope)) []byte {
		e := newEnvelope(t, net, 0, 1)
		change(e)
		doc, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	foreign := newEnvelope(t, net)
	if err := foreign.Countersign(other.Keys[0].SigningCert, other.SigningKey(0)); err != nil {
		t.Fatal(err)
	}
	wrongKey := newEnvelope(t, net)
	if err := wrongKey.Countersign(net.Keys[0].SigningCert, net.SigningKey(1)); err != nil {
		t.Fatal(err)
	}
	foreignDoc, _ := foreign.Encode()
	wrongDoc, _ := wrongKey.Encode()
	twice := encode(func(*directory.Envelope) {})
	i, j := bytes.Index(twice, []byte("countersignature")), bytes.LastIndex(twice, []byte("countersignature"))
	twice = append(twice[:j:j], twice[i:]...)
	for name, tc := range map[string]struct {
		doc  []byte
		want error
	}{
		"as it should be":            {encode(func(*directory.Envelope) {}), nil},
		"another vote":               {encode(func(e *directory.Envelope) { e.Vote = append(bytes.Clone(e.Vote), 'x') }), directory.ErrSignature},
		"another period":             {encode(func(e *directory.Envelope) { e.ValidAfter = e.ValidAfter.Add(time.Hour) }), directory.ErrSignature},
		"another author":             {encode(func(e *directory.Envelope) { e.Author = net.Authorities[2].ID }), directory.ErrSignature},
		"a stranger's author":        {encode(func(e *directory.Envelope) { e.Author = other.Authorities[2].ID }), directory.ErrUnknown},
		"another network":            {encode(func(e *directory.Envelope) { e.Network = other.Digest() }), directory.ErrOtherNetwork},
		"a flipped signature":        {encode(func(e *directory.Envelope) { e.Signatures[1].Signature[5] ^= 1 }), directory.ErrSignature},
		"a stranger's signature":     {foreignDoc, directory.ErrUnknown},
		"a signature by another key": {wrongDoc, directory.ErrSignature},
		"the same authority twice":   {twice, directory.ErrMalformed},
		"nothing":                    {nil, directory.ErrMalformed},
		"too large":                  {make([]byte, directory.MaxEnvelope+1), directory.ErrTooLarge},
	} {
		if _, err := directory.ParseEnvelope(tc.doc, net.Network); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	v := newEnvelope(t, net, 0)
	v.Vote = make([]byte, directory.MaxVote+1)
	if _, err := v.Encode(); !errors.Is(err, directory.ErrTooLarge) {
		t.Errorf("vote too large: %v", err)
	}
}

func TestVoteOf50000RelaysFits(t *testing.T) {
	net := directorytest.New(1)
	v := net.Vote(0, 0, manyRelays(directory.MaxRelays))
	doc, err := v.Sign(net.SigningKey(0))
	if err != nil {
		t.Fatal(err)
	}
	got, err := directory.ParseVote(doc, net.Network)
	if err != nil || len(got.Entries) != directory.MaxRelays {
		t.Fatalf("%d relays: %v", len(got.Entries), err)
	}
	t.Logf("%d bytes, %s a relay", len(doc), fmt.Sprint(len(doc)/directory.MaxRelays))
}
