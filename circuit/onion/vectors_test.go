package onion

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// publishedVectors reads the vectors of Counter Galois Onion's authors, which
// are not part of this repository: from the folder that TUNIC_SHARED names, or
// beside the checkout.
func publishedVectors(t *testing.T) map[string]json.RawMessage {
	shared := os.Getenv("TUNIC_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	b, err := os.ReadFile(filepath.Join(shared, "reference", "vectors", "cgo.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("skipped: the published vectors (reference/vectors/cgo.json) are not on this machine; TUNIC_SHARED names the folder")
	}
	if err != nil {
		t.Fatal(err)
	}
	var sections map[string]json.RawMessage
	if err := json.Unmarshal(b, &sections); err != nil {
		t.Fatal(err)
	}
	return sections
}

// A hexBytes is written as a string of hex digits.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.AppendDecode(nil, b)
	return err
}

func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// tuple decodes a JSON list into the values that out points to.
func tuple(raw json.RawMessage, out ...any) error {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	if len(list) != len(out) {
		return errors.New("list of another length")
	}
	for i := range out {
		if err := json.Unmarshal(list[i], out[i]); err != nil {
			return err
		}
	}
	return nil
}

// A pair is [tag, payload] of the vectors.
type pair struct{ tag, message hexBytes }

func (p *pair) UnmarshalJSON(raw []byte) error { return tuple(raw, &p.tag, &p.message) }

func (p pair) block() block { return block{[16]byte(p.tag), p.message} }

// A vectorState is [K, N, T'] of the vectors.
type vectorState struct{ k, n, chain hexBytes }

func (s *vectorState) UnmarshalJSON(raw []byte) error { return tuple(raw, &s.k, &s.n, &s.chain) }

func (s vectorState) hop() *modelHop {
	return &modelHop{p: published, keys: s.k, n: [16]byte(s.n), chain: [16]byte(s.chain)}
}

func (s vectorState) is(h *modelHop) bool {
	return bytes.Equal(s.k, h.keys) && [16]byte(s.n) == h.n && [16]byte(s.chain) == h.chain
}

// A stateAndPair is [state, [tag, payload]], what an operation leaves.
type stateAndPair struct {
	state vectorState
	out   pair
}

func (s *stateAndPair) UnmarshalJSON(raw []byte) error { return tuple(raw, &s.state, &s.out) }

// TestModelMatchesPublishedVectors runs every entry of every section. The counts
// keep it from passing on a file that it did not read.
func TestModelMatchesPublishedVectors(t *testing.T) {
	sections := publishedVectors(t)
	for _, s := range []struct {
		name  string
		count int
		check func(t *testing.T, i int, entry json.RawMessage)
	}{
		{"et", 20, checkET},
		{"prf", 20, checkPRF},
		{"uiv", 12, checkUIV},
		{"uiv_update_test_vectors", 10, checkUpdate},
		{"cgo_relay_test_vectors", 12, checkRelay},
		{"cgo_relay_originate_test_vectors", 6, checkRelayOriginate},
		{"cgo_client_originate_test_vectors", 14, checkClientOriginate},
	} {
		t.Run(s.name, func(t *testing.T) {
			var entries []json.RawMessage
			if err := json.Unmarshal(sections[s.name], &entries); err != nil {
				t.Fatal(err)
			}
			if len(entries) != s.count {
				t.Errorf("%d entries, want %d", len(entries), s.count)
			}
			for i, e := range entries {
				s.check(t, i, e)
			}
		})
		delete(sections, s.name)
	}
	delete(sections, "source")
	for name := range sections {
		t.Errorf("section %q is not checked", name)
	}
}

// mustDecode decodes an entry that is an object.
func mustDecode(t *testing.T, raw json.RawMessage, out any) {
	t.Helper()
	if err := json.Unmarshal(raw, out); err != nil {
		t.Fatal(err)
	}
}

func checkET(t *testing.T, i int, raw json.RawMessage) {
	var v struct {
		Encrypt bool
		Keys    hexBytes `json:"kb_ku"`
		Tweak   hexBytes
		In, Out hexBytes
	}
	mustDecode(t, raw, &v)
	keys := append(v.Keys, make([]byte, 32)...)
	sum := published.hash(keys, [16]byte(v.Tweak), v.Tweak[16], v.Tweak[17:])
	f := decrypt
	if v.Encrypt {
		f = encrypt
	}
	if got := xor(sum, f(keys[:16], xor(sum, [16]byte(v.In)))); !bytes.Equal(got[:], v.Out) {
		t.Errorf("entry %d: %x, want %x", i, got, v.Out)
	}
}

func checkPRF(t *testing.T, i int, raw json.RawMessage) {
	var v struct {
		Keys  hexBytes `json:"k_b"`
		T     int
		Tweak hexBytes
		Out   hexBytes
	}
	mustDecode(t, raw, &v)
	from := []int{0, published.keysAt}[v.T]
	keys := append(make([]byte, 32), v.Keys...)
	if got := published.stream(keys, [16]byte(v.Tweak), from+len(v.Out))[from:]; !bytes.Equal(got, v.Out) {
		t.Errorf("entry %d: %x, want %x", i, got, v.Out)
	}
}

func checkUIV(t *testing.T, i int, raw json.RawMessage) {
	var v struct {
		Encrypt bool
		Keys    hexBytes `json:"j_s"`
		H       hexBytes
		Tag     hexBytes `json:"x_l"`
		Message hexBytes `json:"x_r"`
		Out     pair
	}
	mustDecode(t, raw, &v)
	h := &modelHop{p: published, keys: v.Keys, chain: [16]byte(v.H)}
	in := block{[16]byte(v.Tag), v.Message}
	got := h.dec(v.H[16], in)
	if v.Encrypt {
		got = h.enc(v.H[16], in)
	}
	if !bytes.Equal(got.bytes(), v.Out.block().bytes()) {
		t.Errorf("entry %d: %x, want %x", i, got.bytes(), v.Out.block().bytes())
	}
}

func checkUpdate(t *testing.T, i int, raw json.RawMessage) {
	var k, n hexBytes
	var want json.RawMessage
	var wantK, wantN hexBytes
	if err := errors.Join(tuple(raw, &k, &n, &want), tuple(want, &wantK, &wantN)); err != nil {
		t.Fatal(err)
	}
	h := &modelHop{p: published, keys: k, n: [16]byte(n)}
	h.update(h.n)
	if !bytes.Equal(h.keys, wantK) || !bytes.Equal(h.n[:], wantN) {
		t.Errorf("entry %d: %x, %x, want %x, %x", i, h.keys, h.n, wantK, wantN)
	}
}

func checkRelay(t *testing.T, i int, raw json.RawMessage) {
	var (
		inward   bool
		state    vectorState
		ad       hexBytes
		tag, msg hexBytes
		want     stateAndPair
	)
	if err := tuple(raw, &inward, &state, &ad, &tag, &msg, &want); err != nil {
		t.Fatal(err)
	}
	h, in := state.hop(), block{[16]byte(tag), msg}
	var got block
	if inward {
		got = h.relayInward(ad[0], in)
	} else {
		got, _, _ = h.relayOutward(ad[0], in)
	}
	if !bytes.Equal(got.bytes(), want.out.block().bytes()) || !want.state.is(h) {
		t.Errorf("entry %d differs", i)
	}
}

func checkRelayOriginate(t *testing.T, i int, raw json.RawMessage) {
	var (
		state   vectorState
		ad, msg hexBytes
		want    stateAndPair
	)
	if err := tuple(raw, &state, &ad, &msg, &want); err != nil {
		t.Fatal(err)
	}
	h := state.hop()
	got, _ := h.relayOriginate(ad[0], block{message: msg})
	if !bytes.Equal(got.bytes(), want.out.block().bytes()) || !want.state.is(h) {
		t.Errorf("entry %d differs", i)
	}
}

func checkClientOriginate(t *testing.T, i int, raw json.RawMessage) {
	var (
		states  []vectorState
		target  int // counts from 1
		ad, msg hexBytes
		want    json.RawMessage
		after   []vectorState
		out     pair
	)
	if err := errors.Join(tuple(raw, &states, &target, &ad, &msg, &want), tuple(want, &after, &out)); err != nil {
		t.Fatal(err)
	}
	if len(states) != 3 || len(after) != 3 {
		t.Fatalf("entry %d: %d hops before, %d after, want 3", i, len(states), len(after))
	}
	var hops []*modelHop
	for _, s := range states {
		hops = append(hops, s.hop())
	}
	got, _ := hops[target-1].clientOriginate(ad[0], block{message: msg})
	for d := target - 2; d >= 0; d-- {
		got = hops[d].clientOutward(ad[0], got)
	}
	if !bytes.Equal(got.bytes(), out.block().bytes()) {
		t.Errorf("entry %d: another cell", i)
	}
	for d, h := range hops {
		if !after[d].is(h) {
			t.Errorf("entry %d: hop %d is left in another state", i, d)
		}
	}
}
