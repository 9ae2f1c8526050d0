package onion

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write testdata anew from the model")

// A layerAnswer is one layer under random keys.
type layerAnswer struct {
	KB        hexBytes `json:"kb"`
	KS        hexBytes `json:"ks"`
	Chain     hexBytes `json:"chain"` // T'
	Command   byte     `json:"command"`
	Tag       hexBytes `json:"tag"`
	Message   hexBytes `json:"message"`
	Hash      hexBytes `json:"hash"`      // UH(command, T' ‖ message)
	Stream    hexBytes `json:"stream"`    // the first 544 bytes of stream(tag)
	Encrypted hexBytes `json:"encrypted"` // ENC of tag ‖ message
	Decrypted hexBytes `json:"decrypted"` // DEC of tag ‖ message
}

type layerAnswers struct {
	About  string        `json:"about"`
	Layers []layerAnswer `json:"layers"`
}

// A cellAnswer is one relay cell on its way through a circuit.
type cellAnswer struct {
	Way     string     `json:"way"` // outward or inward
	Hop     int        `json:"hop"` // to which, or from which
	Command byte       `json:"command"`
	Tag     hexBytes   `json:"tag"` // for an authenticated SENDME
	Digests []hexBytes `json:"digests"`
	Bodies  []hexBytes `json:"bodies,omitempty"`
}

type circuitAnswers struct {
	About   string       `json:"about"`
	Outward []hexBytes   `json:"outward"` // KB ‖ KS ‖ N of hop 0, 1, 2
	Inward  []hexBytes   `json:"inward"`
	Cells   []cellAnswer `json:"cells"`
}

const (
	aboutLayers = "One layer of tunic's profile of Counter Galois Onion (docs/protocol.md, Layers). Made by the model in model_test.go."
	aboutCells  = "A circuit of three hops in tunic's profile of Counter Galois Onion (docs/protocol.md, Layers). " +
		"Byte j of the message of cell i, both from 0, is (7*i + j) mod 256. " +
		"digests are SHA-256 of the 512-byte body on each link that the cell crosses, in the order in which it does; bodies are those bodies. " +
		"Made by the model in model_test.go."
	wholeBodies = 4 // of the first cells
)

func answerMessage(i int) []byte {
	m := make([]byte, MessageSize)
	for j := range m {
		m[j] = byte(7*i + j)
	}
	return m
}

func modelLayers() *layerAnswers {
	rng := rand.NewChaCha8([32]byte{1})
	random := func(n int) hexBytes {
		b := make([]byte, n)
		rng.Read(b)
		return b
	}
	out := &layerAnswers{About: aboutLayers}
	for _, command := range []byte{3, 4, 255} {
		a := layerAnswer{KB: random(16), KS: random(16), Chain: random(16), Command: command, Tag: random(16), Message: random(MessageSize)}
		h := &modelHop{p: tunic, keys: append(bytes.Clone(a.KB), a.KS...), chain: [16]byte(a.Chain)}
		b := block{[16]byte(a.Tag), a.Message}
		sum := tunic.hash(h.keys, h.chain, command, a.Message)
		a.Hash, a.Stream = sum[:], tunic.stream(h.keys, b.tag, 544)
		a.Encrypted, a.Decrypted = h.enc(command, b).bytes(), h.dec(command, b).bytes()
		out.Layers = append(out.Layers, a)
	}
	return out
}

// answerOrder says which cells the circuit of the answers carries: enough for a
// renewal of every key, interleaved.
func answerOrder() (cells []cellAnswer) {
	for i := range 6*RenewalInterval + 18 {
		c := cellAnswer{Way: ways[i%2], Hop: i / 2 % 3, Command: 3}
		if i < 24 && c.Way == ways[outward] {
			c.Command = 4
		}
		cells = append(cells, c)
	}
	return cells
}

func modelCircuit() *circuitAnswers {
	rng := rand.NewChaCha8([32]byte{2})
	out := &circuitAnswers{About: aboutCells}
	var client, relay [2][3]*modelHop
	for hop := range 3 {
		for way := range 2 {
			var k Key
			rng.Read(k[:])
			client[way][hop], relay[way][hop] = newModelHop(tunic, &k), newModelHop(tunic, &k)
			if way == outward {
				out.Outward = append(out.Outward, k[:])
			} else {
				out.Inward = append(out.Inward, k[:])
			}
		}
	}
	for i, c := range answerOrder() {
		record := func(b block) {
			d := sha256.Sum256(b.bytes())
			c.Digests = append(c.Digests, d[:])
			if i < wholeBodies {
				c.Bodies = append(c.Bodies, b.bytes())
			}
		}
		b, tag := block{message: answerMessage(i)}, [16]byte{}
		if c.Way == ways[outward] {
			b, tag = client[outward][c.Hop].clientOriginate(c.Command, b)
			for d := c.Hop - 1; d >= 0; d-- {
				b = client[outward][d].clientOutward(c.Command, b)
			}
			for d := 0; d <= c.Hop; d++ {
				record(b)
				b, _, _ = relay[outward][d].relayOutward(c.Command, b)
			}
		} else {
			b, tag = relay[inward][c.Hop].relayOriginate(c.Command, b)
			record(b)
			for d := c.Hop - 1; d >= 0; d-- {
				b = relay[inward][d].relayInward(c.Command, b)
				record(b)
			}
			for d := 0; d <= c.Hop; d++ {
				b, _, _ = client[inward][d].clientInward(c.Command, b)
			}
		}
		if !bytes.Equal(b.message, answerMessage(i)) {
			panic("the model does not give the message back")
		}
		c.Tag = tag[:]
		out.Cells = append(out.Cells, c)
	}
	return out
}

// answers reads the file, after -update has written it, and fails if the model
// would write another.
func answers[T any](t *testing.T, file string, model *T) *T {
	t.Helper()
	file = filepath.Join("testdata", file)
	want, err := json.MarshalIndent(model, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), want) { // a checkout may change the line ends
		t.Errorf("%s is not what the model makes", file)
	}
	out := new(T)
	if err := json.Unmarshal(got, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLayerAnswers(t *testing.T) {
	for i, a := range answers(t, "layer.json", modelLayers()).Layers {
		state := func() *State {
			return &State{kb: [16]byte(a.KB), ks: [16]byte(a.KS), chain: [16]byte(a.Chain), live: true}
		}
		for _, tt := range []struct {
			name string
			op   func(s *State, b []byte)
			want hexBytes
		}{
			{"RelayInward", func(s *State, b []byte) { s.RelayInward(a.Command, b) }, a.Encrypted},
			{"ClientOutward", func(s *State, b []byte) { s.ClientOutward(a.Command, b) }, a.Decrypted},
		} {
			b := newBody(a.Message)
			copy(b, a.Tag)
			if tt.op(state(), b); !bytes.Equal(b, tt.want) {
				t.Errorf("layer %d: %s = %x…, want %x…", i, tt.name, b[:24], tt.want[:24])
			}
		}
	}
}

func TestCircuitAnswers(t *testing.T) {
	file := answers(t, "circuit.json", modelCircuit())
	var w wire
	for hop := range 3 {
		for way, keys := range [][]hexBytes{file.Outward, file.Inward} {
			k := Key(keys[hop])
			w.client[way][hop], w.relay[way][hop] = NewState(&k), NewState(&k)
		}
	}
	for i, c := range file.Cells {
		where := fmt.Sprintf("cell %d, %s, hop %d", i, c.Way, c.Hop)
		way := outward
		if c.Way == ways[inward] {
			way = inward
		}
		sealed := w.sealCommand(way, c.Hop, c.Command, answerMessage(i))
		link := 0
		recognised := w.carry(way, c.Hop, sealed, func(_ int, on *travelling) {
			if d := sha256.Sum256(on.body); !bytes.Equal(d[:], c.Digests[link]) {
				t.Errorf("%s: the body on its link %d differs", where, link)
			}
			if i < wholeBodies && !bytes.Equal(on.body, c.Bodies[link]) {
				t.Errorf("%s: the body on its link %d is %x…, want %x…", where, link, on.body[:24], c.Bodies[link][:24])
			}
			link++
		})
		if !recognised || link != len(c.Digests) || !bytes.Equal(sealed.body[TagSize:], answerMessage(i)) {
			t.Errorf("%s: recognised %v after %d links", where, recognised, link)
		}
		if !bytes.Equal(sealed.tag[:], c.Tag) {
			t.Errorf("%s: tag %x, want %x", where, sealed.tag, c.Tag)
		}
	}
}
