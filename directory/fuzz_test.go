package directory_test

import (
	"bytes"
	"strings"
	"testing"

	"tunic/directory"
	"tunic/directory/directorytest"
)

func FuzzParseDescriptor(f *testing.F) {
	net := directorytest.New(1)
	r := net.NewRelay(1, directorytest.Epoch)
	f.Add(directory.WithoutSignature(r.Sign(f)))
	f.Add(directory.WithoutSignature(fullDescriptor(net).Sign(f)))
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = directory.ParseDescriptor([]byte(text), net.Network, directorytest.Epoch)
		if again, err := directory.ReencodeDescriptor(text); err == nil && again != text {
			t.Fatalf("accepted\n%s\nencodes as\n%s", text, again)
		} else if err != nil && again != "" {
			t.Fatalf("accepted\n%s\nbut does not encode: %v", text, err)
		}
	})
}

func FuzzParseVote(f *testing.F) {
	net := directorytest.New(3)
	for _, v := range []*directory.Vote{net.Vote(0, 0, nil), fullVote(f, net)} {
		doc, err := v.Sign(net.SigningKey(0))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(directory.WithoutSignature(doc))
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = directory.ParseVote([]byte(text), net.Network)
		if again, err := directory.ReencodeVote(text); err == nil && again != text {
			t.Fatalf("accepted\n%s\nencodes as\n%s", text, again)
		} else if err != nil && again != "" {
			t.Fatalf("accepted\n%s\nbut does not encode: %v", text, err)
		}
	})
}

func FuzzParseEnvelope(f *testing.F) {
	net := directorytest.New(3)
	env := newEnvelope(f, net, 0, 1, 2)
	for _, e := range []*directory.Envelope{env, env.Bare()} {
		doc, err := e.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := directory.ParseEnvelope(b, net.Network); err == nil {
			if out, err := e.Encode(); err != nil || !bytes.Equal(out, b) {
				t.Fatalf("accepted %q, encodes as %q (%v)", b, out, err)
			}
		}
		if out, err := directory.ReencodeEnvelope(b); err == nil && !bytes.Equal(out, b) {
			t.Fatalf("read %q, encodes as %q", b, out)
		}
	})
}

func FuzzParseConsensus(f *testing.F) {
	net := directorytest.New(3)
	for _, c := range []*directory.Consensus{net.Consensus(0, nil), fullConsensus(net)} {
		doc, err := c.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := directory.ParseConsensus(b); err == nil {
			if out, err := c.Encode(); err != nil || !bytes.Equal(out, b) {
				t.Fatalf("accepted %q, encodes as %q (%v)", b, out, err)
			}
		}
	})
}

func FuzzParseSignedCheckpoint(f *testing.F) {
	net := directorytest.New(3)
	_, h := net.Sign(f, net.Consensus(0, nil), nil)
	s, _, _ := net.Endorse(f, net.Consensus(1, nil), h, 1)
	for _, s := range []*directory.SignedCheckpoint{&h.Signed, s} {
		doc, err := s.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := directory.ParseSignedCheckpoint(b)
		if err != nil {
			return
		}
		if out, err := s.Encode(); err != nil || !bytes.Equal(out, b) {
			t.Fatalf("accepted %q, encodes as %q (%v)", b, out, err)
		}
		s.Signers(net.Network)
	})
}

func FuzzOpenBundle(f *testing.F) {
	net := directorytest.New(3)
	b, _ := net.Sign(f, fullConsensus(net), nil)
	f.Add(b.Raw())
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := directory.OpenBundle(b, net.Network); err == nil {
			again, err := directory.NewBundle(&o.Signed, o.Document(), net.Network)
			if err != nil || !bytes.Equal(again.Raw(), b) {
				t.Fatalf("accepted %q, encodes as another (%v)", b, err)
			}
		}
	})
}

// People write network files, so that many texts mean one network; what is
// encoded comes back as it was.
func FuzzParseNetwork(f *testing.F) {
	net := fullNetwork()
	doc, err := net.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := directory.ParseNetwork(b)
		if err != nil {
			return
		}
		first, err := n.Encode()
		if err != nil {
			t.Fatalf("accepted %q, does not encode: %v", b, err)
		}
		again, err := directory.ParseNetwork(first)
		if err != nil {
			t.Fatalf("%q encodes as %q, which does not parse: %v", b, first, err)
		}
		if second, err := again.Encode(); err != nil || !bytes.Equal(second, first) || again.Digest() != n.Digest() {
			t.Fatalf("%q encodes as %q, then as %q (%v)", b, first, second, err)
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	f.Add("accept *:*")
	f.Add("reject *4:25\naccept 192.0.2.0/24:80-443\nreject [2001:db8::/32]:*\naccept 198.51.100.7:1")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := directory.ParsePolicy(strings.Split(text, "\n"))
		if err != nil {
			return
		}
		again, err := directory.ParsePolicy(p.Strings())
		if err != nil || strings.Join(again.Strings(), "\n") != strings.Join(p.Strings(), "\n") {
			t.Fatalf("%q is %q, which is %q (%v)", text, p.Strings(), again.Strings(), err)
		}
		p.Summary()
	})
}

func FuzzParsePortSummary(f *testing.F) {
	f.Add("80,443,8000-8100")
	f.Add("*")
	f.Add("-")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := directory.ParsePortSummary(text); err == nil && s.String() != text {
			t.Fatalf("accepted %q, encodes as %q", text, s)
		}
	})
}
