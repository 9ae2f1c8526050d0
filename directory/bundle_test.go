package directory_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
)

func TestBundleComesBack(t *testing.T) {
	net := directorytest.New(3)
	_, h := net.Sign(t, net.Consensus(0, nil), nil)
	full := fullConsensus(net)
	round := net.Round(1)
	full.ValidAfter, full.FreshUntil, full.ValidUntil = round.ValidAfter, round.FreshUntil, round.ValidUntil
	b, _ := net.Sign(t, full, h, 0, 2)
	got, err := directory.OpenBundle(bytes.Clone(b.Raw()), net.Network)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Consensus, full) || !reflect.DeepEqual(got.Signed, b.Signed) || !got.Equal(b) {
		t.Errorf("comes back as another")
	}
	doc, _ := full.Encode()
	if !bytes.Equal(got.Document(), doc) {
		t.Error("the document is another")
	}
}

func TestBundleEveryByteCounts(t *testing.T) {
	net := directorytest.New(1) // so that the one signature counts
	b, _ := net.Sign(t, fullConsensus(net), nil)
	raw := b.Raw()
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		if o, err := directory.OpenBundle(bad, net.Network); err == nil {
			t.Fatalf("byte %d (%q in %q) flipped: accepted %+v", i, raw[i], raw[max(0, i-20):min(len(raw), i+20)], o.Signed)
		}
		if _, err := directory.OpenBundle(raw[:i], net.Network); err == nil {
			t.Fatalf("cut to %d bytes: accepted", i)
		}
	}
}

func TestBundleRefuses(t *testing.T) {
	net, other := directorytest.New(3), directorytest.New(3)
	other.Name = "other.example"
	endorse := func(c *directory.Consensus, by ...int) (*directory.SignedCheckpoint, []byte) {
		s, doc, _ := net.Endorse(t, c, nil, by...)
		return s, doc
	}
	changed := func(change func(c *directory.Consensus)) (*directory.SignedCheckpoint, []byte) {
		c := net.Consensus(1, net.Relays(1))
		change(c)
		return endorse(c)
	}
	for name, tc := range map[string]struct {
		make func() (*directory.SignedCheckpoint, []byte)
		want error
	}{
		"as it should be":        {func() (*directory.SignedCheckpoint, []byte) { return endorse(net.Consensus(0, nil)) }, nil},
		"one signature of three": {func() (*directory.SignedCheckpoint, []byte) { return endorse(net.Consensus(0, nil), 1) }, directory.ErrShort},
		"one authority's signature twice": {func() (*directory.SignedCheckpoint, []byte) {
			s, doc := endorse(net.Consensus(0, nil), 1)
			s.Signatures = append(s.Signatures, s.Signatures[0])
			return s, doc
		}, directory.ErrShort},
		"another network's": {func() (*directory.SignedCheckpoint, []byte) {
			s, doc, _ := other.Endorse(t, other.Consensus(0, nil), nil)
			return s, doc
		}, directory.ErrOtherNetwork},
		"another document": {func() (*directory.SignedCheckpoint, []byte) {
			s, _ := endorse(net.Consensus(0, nil))
			_, doc := endorse(net.Consensus(1, nil))
			return s, doc
		}, directory.ErrSignature},
		"more behind it": {func() (*directory.SignedCheckpoint, []byte) {
			s, doc := endorse(net.Consensus(0, nil))
			return s, append(doc, "relay\n"...)
		}, directory.ErrSignature},
		"network's name in it": {func() (*directory.SignedCheckpoint, []byte) {
			return changed(func(c *directory.Consensus) { c.Network = "x" })
		}, directory.ErrOtherNetwork},
		"network's digest in it": {func() (*directory.SignedCheckpoint, []byte) {
			return changed(func(c *directory.Consensus) { c.NetworkID[0]++ })
		}, directory.ErrOtherNetwork},
		"off the timeline": {func() (*directory.SignedCheckpoint, []byte) {
			return changed(func(c *directory.Consensus) { c.ValidAfter = c.ValidAfter.Add(time.Minute) })
		}, directory.ErrMalformed},
		"valid too long": {func() (*directory.SignedCheckpoint, []byte) {
			return changed(func(c *directory.Consensus) { c.ValidUntil = c.ValidUntil.Add(time.Hour) })
		}, directory.ErrMalformed},
		"fresh too long": {func() (*directory.SignedCheckpoint, []byte) {
			return changed(func(c *directory.Consensus) { c.FreshUntil = c.FreshUntil.Add(time.Hour) })
		}, directory.ErrMalformed},
		"another previous": {func() (*directory.SignedCheckpoint, []byte) {
			return changed(func(c *directory.Consensus) { c.Previous[0]++ })
		}, directory.ErrMalformed},
	} {
		s, doc := tc.make()
		if _, err := directory.NewBundle(s, doc, net.Network); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, err := directory.OpenBundle(make([]byte, directory.MaxBundle+1), net.Network); !errors.Is(err, directory.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := directory.OpenBundle(nil, net.Network); !errors.Is(err, directory.ErrMalformed) {
		t.Errorf("nothing: %v", err)
	}
}

func TestBundleNewerThan(t *testing.T) {
	net := directorytest.New(1)
	a, h := net.Sign(t, net.Consensus(0, nil), nil)
	b, _ := net.Sign(t, net.Consensus(1, nil), h)
	for _, tc := range []struct {
		is, than *directory.Bundle
		want     error
	}{{a, nil, nil}, {b, a, nil}, {a, a, directory.ErrOlder}, {a, b, directory.ErrOlder}} {
		if err := tc.is.NewerThan(tc.than); !errors.Is(err, tc.want) {
			t.Errorf("%v, want %v", err, tc.want)
		}
	}
}
