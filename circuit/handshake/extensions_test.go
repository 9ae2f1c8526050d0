package handshake

import (
	"bytes"
	"errors"
	"testing"

	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

func TestExtensionsRoundTrip(t *testing.T) {
	for _, e := range []Extensions{{}, {SendmeInc: 1}, {SendmeInc: 255}, {Features: 1}, {SendmeInc: 31, Features: 1<<64 - 1}} {
		for _, size := range []int{askedSize, grantedSize} {
			b := bytes.Repeat([]byte{0xff}, size)
			e.put(b)
			if got, unknown, err := parseExtensions(b); err != nil || got != e || unknown != 0 {
				t.Errorf("%+v: %+v, %d, %v", e, got, unknown, err)
			}
		}
	}
}

func TestExtensionsBytes(t *testing.T) {
	b := make([]byte, 16)
	Extensions{SendmeInc: 31, Features: 0x0102030405060708}.put(b)
	if want := []byte{1, 1, 31, 2, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0}; !bytes.Equal(b, want) {
		t.Errorf("% x, want % x", b, want)
	}
}

func TestMalformedExtensions(t *testing.T) {
	for name, b := range map[string][]byte{
		"type alone":               {0, 0, 0, 0, 1},
		"no length":                {1},
		"value beyond the payload": {2, 8, 1, 2, 3},
		"length 255":               {9, 255, 0},
		"twice":                    {1, 1, 31, 1, 1, 31, 0},
		"descending":               {2, 8, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 31},
		"sendme of two bytes":      {1, 2, 0, 31, 0},
		"sendme of no byte":        {1, 0, 0},
		"sendme of zero":           {1, 1, 0, 0},
		"features of 7 bytes":      {2, 7, 1, 1, 1, 1, 1, 1, 1, 0},
		"features of zero":         {2, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"bytes behind the end":     {1, 1, 31, 0, 0, 1},
	} {
		if e, _, err := parseExtensions(b); !errors.Is(err, ErrMalformed) || e != (Extensions{}) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

func TestUnknownExtensionsAreCounted(t *testing.T) {
	e, unknown, err := parseExtensions([]byte{1, 1, 31, 7, 2, 0xaa, 0xbb, 200, 0, 0, 0})
	if err != nil || e.SendmeInc != 31 || unknown != 2 {
		t.Errorf("%+v, %d, %v", e, unknown, err)
	}
}

func TestGrantIsCutToWhatWasAsked(t *testing.T) {
	r := newRelay()
	for name, row := range map[string]struct {
		ask, grant, want Extensions
	}{
		"all":      {Extensions{31, 7}, Extensions{31, 7}, Extensions{31, 7}},
		"less":     {Extensions{31, 7}, Extensions{0, 2}, Extensions{0, 2}},
		"another":  {Extensions{31, 7}, Extensions{62, 7}, Extensions{62, 7}},
		"too much": {Extensions{0, 6}, Extensions{31, 15}, Extensions{0, 6}},
	} {
		c, msg := r.start(t, row.ask)
		reply, theirs, err := Answer(r.network, r.id, r.key, msg, func(ask Extensions) Extensions {
			if ask != row.ask {
				t.Errorf("%s: the relay reads %+v", name, ask)
			}
			return row.grant
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := c.Finish(reply)
		if err != nil || ours.Ext != row.want || theirs.Ext != row.want {
			t.Errorf("%s: %+v, %v, want %+v", name, ours, err, row.want)
		}
	}
	c, msg := r.start(t, Extensions{31, 7})
	reply, _, err := Answer(r.network, r.id, r.key, msg, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := c.Finish(reply); err != nil || res.Ext != (Extensions{}) {
		t.Errorf("nil grants %+v, %v", res.Ext, err)
	}
}

// dishonest answers as a relay would, with any payload.
func (r relay) dishonest(t *testing.T, msg, payload []byte) []byte {
	t.Helper()
	m, err := hybrid.NewResponder(keys.HopPrologue(version, r.network, r.id, r.key.ID()), r.key.ECDH())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.ReadMessage1(msg[headerSize:]); err != nil {
		t.Fatal(err)
	}
	reply, _, err := m.Message2(nil, payload)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestClientRefusesWhatItDidNotAsk(t *testing.T) {
	r := newRelay()
	for name, row := range map[string]struct {
		ask  Extensions
		head []byte
		want error
	}{
		"nothing":           {Extensions{}, nil, nil},
		"sendme":            {Extensions{Features: 1}, []byte{1, 1, 31}, ErrGrant},
		"a further feature": {Extensions{Features: 1}, []byte{2, 8, 0, 0, 0, 0, 0, 0, 0, 3}, ErrGrant},
		"an unknown type":   {Extensions{31, 1}, []byte{3, 0}, ErrGrant},
		"malformed":         {Extensions{31, 1}, []byte{1, 1, 0}, ErrMalformed},
		"padding":           {Extensions{31, 1}, []byte{0, 1}, ErrMalformed},
	} {
		c, msg := r.start(t, row.ask)
		payload := make([]byte, grantedSize)
		copy(payload, row.head)
		res, err := c.Finish(r.dishonest(t, msg, payload))
		if !errors.Is(err, row.want) || (row.want == nil) != (res != nil) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
}

// A client that holds to the protocol but for its extensions.
func TestRelayRefusesMalformedExtensions(t *testing.T) {
	r := newRelay()
	for name, row := range map[string]struct {
		head []byte
		want error
	}{
		"unknown type": {[]byte{9, 3, 1, 2, 3}, nil},
		"descending":   {[]byte{2, 8, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 31}, ErrMalformed},
		"padding":      {[]byte{0, 0, 1}, ErrMalformed},
	} {
		id := r.key.ID()
		m, err := hybrid.NewInitiator(keys.HopPrologue(version, r.network, r.id, id), r.key.Public())
		if err != nil {
			t.Fatal(err)
		}
		payload := make([]byte, askedSize)
		copy(payload, row.head)
		msg, err := m.Message1(append([]byte{version}, id[:]...), payload)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.answer(msg); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
}
