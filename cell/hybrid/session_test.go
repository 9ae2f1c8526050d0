package hybrid

import (
	"bytes"
	"errors"
	"testing"
)

func TestCiphersCarryRecordsInOrder(t *testing.T) {
	a, b := newSessions(t)
	for n := range 10 {
		plain := bytes.Repeat([]byte{byte(n)}, n*100)
		for _, way := range [][2]*Cipher{{a.Send, b.Recv}, {b.Send, a.Recv}} {
			buf := append(make([]byte, 0, len(plain)+TagSize), plain...)
			sealed, err := way[0].Seal(buf[:0], buf)
			if err != nil || len(sealed) != len(plain)+TagSize {
				t.Fatalf("record %d: %d bytes, %v", n, len(sealed), err)
			}
			if got, err := way[1].Open(sealed[:0], sealed); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("record %d: %v", n, err)
			}
			if n%3 == 2 {
				way[0].Rekey()
				way[1].Rekey()
			}
		}
	}
}

func TestCipherRefusesAllAfterAnError(t *testing.T) {
	for name, spoil := range map[string]func(first, second []byte) []byte{
		"flipped":       func(first, _ []byte) []byte { first[0] ^= 1; return first },
		"cut":           func(first, _ []byte) []byte { return first[:len(first)-1] },
		"empty":         func(_, _ []byte) []byte { return nil },
		"skipped":       func(_, second []byte) []byte { return second },
		"other session": func(first, _ []byte) []byte { return bytes.Repeat([]byte{7}, len(first)) },
	} {
		a, b := newSessions(t)
		first, _ := a.Send.Seal(nil, []byte("first"))
		second, _ := a.Send.Seal(nil, []byte("second"))
		good := bytes.Clone(first)
		if got, err := b.Recv.Open(nil, spoil(first, second)); !errors.Is(err, ErrCipher) || got != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := b.Recv.Open(nil, good); !errors.Is(err, ErrCipher) {
			t.Errorf("%s: a later record: %v", name, err)
		}
	}
}

func TestRekeyAtOneEndOnlyFails(t *testing.T) {
	a, b := newSessions(t)
	a.Send.Rekey()
	m, _ := a.Send.Seal(nil, nil)
	if _, err := b.Recv.Open(nil, m); !errors.Is(err, ErrCipher) {
		t.Errorf("%v", err)
	}
}

func TestDirectionsHaveTheirOwnKeys(t *testing.T) {
	a, _ := newSessions(t)
	m, _ := a.Send.Seal(nil, []byte("mine"))
	if _, err := a.Recv.Open(nil, m); err == nil { // reflected
		t.Error("a reflected record opens")
	}
}

func TestExport(t *testing.T) {
	a, b := newSessions(t)
	if !bytes.Equal(a.Send.Export("x", 48), b.Recv.Export("x", 48)) || !bytes.Equal(a.Recv.Export("x", 48), b.Send.Export("x", 48)) {
		t.Error("the two ends export different bytes")
	}
	x := a.Send.Export("x", 48)
	for name, other := range map[string][]byte{"label": a.Send.Export("y", 48), "direction": a.Recv.Export("x", 48)} {
		if bytes.Equal(x, other) {
			t.Errorf("another %s exports the same", name)
		}
	}
	c, _ := newSessions(t)
	if bytes.Equal(x, c.Send.Export("x", 48)) {
		t.Error("another session exports the same")
	}
}

func TestExportFromACipherInUsePanics(t *testing.T) {
	a, _ := newSessions(t)
	for name, use := range map[string]func(*Cipher){
		"Seal":  func(c *Cipher) { _, _ = c.Seal(nil, nil) },
		"Open":  func(c *Cipher) { _, _ = c.Open(nil, nil) },
		"Rekey": func(c *Cipher) { c.Rekey() },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Export after %s", name)
				}
			}()
			c := &Cipher{state: a.Send.state}
			use(c)
			c.Export("x", 32)
		}()
	}
}

func TestRecordsDoNotAllocate(t *testing.T) {
	a, b := newSessions(t)
	buf := make([]byte, 16027, 16027+TagSize)
	round := func() {
		sealed, err := a.Send.Seal(buf[:0], buf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Recv.Open(sealed[:0], sealed); err != nil {
			t.Fatal(err)
		}
	}
	round() // makes the AES keys
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per record", n)
	}
}

// Nothing of a session leads back to the private keys of its handshake, and its
// ciphers go on without them, with new keys too.
func TestSessionForgetsPrivateKeys(t *testing.T) {
	p := newPair(t, newStatic(t))
	ikeys, rkeys := p.i.keys, p.r.keys
	m, responder := p.message2(t)
	if ikeys.ephemeral == nil {
		t.Fatal("an initiator has no ephemeral key before message 2")
	}
	_, initiator, err := p.i.ReadMessage2(m)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*suite{"initiator": ikeys, "responder": rkeys} {
		if s.static != nil || s.ephemeral != nil {
			t.Errorf("the %s's session holds private keys", name)
		}
	}
	initiator.Send.Rekey()
	responder.Recv.Rekey()
	sealed, err := initiator.Send.Seal(nil, []byte("after"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := responder.Recv.Open(nil, sealed); err != nil || string(got) != "after" {
		t.Errorf("opened %q, %v", got, err)
	}
}
