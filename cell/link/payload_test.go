package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"tunic/cell"

	"pgregory.net/rapid"
)

func addrs() *rapid.Generator[netip.AddrPort] {
	return rapid.Custom(func(t *rapid.T) netip.AddrPort {
		port := rapid.Uint16().Draw(t, "port")
		switch rapid.IntRange(0, 2).Draw(t, "family") {
		case 0:
			return netip.AddrPort{}
		case 1:
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4"))), port)
		}
		a := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6")))
		return netip.AddrPortFrom(a.Unmap(), port)
	})
}

func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		ms := rapid.Int64Range(0, latest).Draw(t, "ms")
		if ms == 0 {
			return time.Time{}
		}
		return time.UnixMilli(ms).UTC()
	})
}

func paddings() *rapid.Generator[Padding] {
	return rapid.Custom(func(t *rapid.T) Padding {
		high := rapid.Int64Range(0, 60_000).Draw(t, "high")
		low := rapid.Int64Range(0, high).Draw(t, "low")
		return Padding{time.Duration(low) * time.Millisecond, time.Duration(high) * time.Millisecond}
	})
}

func TestPayloadsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := offer{padding: paddings().Draw(t, "padding")}
		v := rapid.SliceOfNDistinct(rapid.Uint8Range(1, 255), 1, maxVersions, rapid.ID[uint8]).Draw(t, "versions")
		for i := range v { // descending
			for j := range v {
				if v[i] > v[j] {
					v[i], v[j] = v[j], v[i]
				}
			}
		}
		copy(o.versions[:], v)
		b := o.appendBinary(nil)
		if got, err := parseOffer(b); err != nil || got != o || len(b) != 48 {
			t.Fatalf("parseOffer(%x) = %v, %v; want %v", b, got, err, o)
		}
		a := answer{version: rapid.Uint8().Draw(t, "version"), time: times().Draw(t, "time"), seen: addrs().Draw(t, "seen")}
		b = a.appendBinary(nil)
		if got, err := parseAnswer(b); err != nil || got != a || len(b) != 64 {
			t.Fatalf("parseAnswer(%x) = %v, %v; want %v", b, got, err, a)
		}
		n := netInfo{time: times().Draw(t, "time"), seen: addrs().Draw(t, "seen")}
		body := bytes.Repeat([]byte{7}, cell.BodySize)
		n.put(body)
		if got, err := parseNetInfo(body); err != nil || got != n {
			t.Fatalf("parseNetInfo(%x) = %v, %v; want %v", body, got, err, n)
		}
	})
}

// Message 1 has neither forward secrecy nor the KEM's: it says nothing of who sends
// it or when.
func TestOfferSaysNothingElse(t *testing.T) {
	o := offer{versions: [maxVersions]uint8{linkVersion}, padding: Padding{}.withDefaults()}
	want := make([]byte, 48)
	want[0], want[1] = 1, 1
	binary.BigEndian.PutUint16(want[8:], 1500)
	binary.BigEndian.PutUint16(want[10:], 9500)
	if got := o.appendBinary(nil); !bytes.Equal(got, want) {
		t.Errorf("offer %x, want %x", got, want)
	}
}

func TestMalformedPayloads(t *testing.T) {
	offerOf := func(f func(b []byte)) []byte {
		o := offer{versions: [maxVersions]uint8{3, 2, 1}, padding: Padding{time.Second, 2 * time.Second}}
		b := o.appendBinary(nil)
		f(b)
		return b
	}
	for name, b := range map[string][]byte{
		"short":                   make([]byte, 47),
		"long":                    append(offerOf(func([]byte) {}), 0),
		"no version":              offerOf(func(b []byte) { b[0] = 0 }),
		"eight versions":          offerOf(func(b []byte) { b[0] = 8 }),
		"count too low":           offerOf(func(b []byte) { b[0] = 2 }),
		"count too high":          offerOf(func(b []byte) { b[0] = 4 }),
		"version 0":               offerOf(func(b []byte) { b[3] = 0 }),
		"ascending":               offerOf(func(b []byte) { b[3] = 3 }),
		"twice":                   offerOf(func(b []byte) { b[2] = 3 }),
		"padding low above high":  offerOf(func(b []byte) { b[8] = 0xff }),
		"padding over 60 seconds": offerOf(func(b []byte) { b[10], b[11] = 0xea, 0x61 }),
	} {
		if _, err := parseOffer(b); !errors.Is(err, cell.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	info := func(f func(b []byte)) []byte {
		n := netInfo{time: time.UnixMilli(1e12), seen: netip.MustParseAddrPort("192.0.2.1:443")}
		b := make([]byte, cell.BodySize)
		n.put(b)
		f(b)
		return b
	}
	for name, b := range map[string][]byte{
		"short":              make([]byte, cell.BodySize-1),
		"year 10000":         info(func(b []byte) { b[0] = 1 }),
		"family 5":           info(func(b []byte) { b[8] = 5 }),
		"family 0 with port": info(func(b []byte) { clear(b[8:25]) }),
		"v4 with more":       info(func(b []byte) { b[13] = 1 }),
		"v4 in v6": info(func(b []byte) {
			b[8] = 6
			copy(b[9:], []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4})
		}),
	} {
		if _, err := parseNetInfo(b); !errors.Is(err, cell.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := parseAnswer(make([]byte, 63)); !errors.Is(err, cell.ErrMalformed) {
		t.Errorf("short answer: %v, want ErrMalformed", err)
	}
}

// What must be ignored is ignored: it is room for later versions.
func TestReservedBytesAreIgnored(t *testing.T) {
	o := offer{versions: [maxVersions]uint8{1}}
	b := o.appendBinary(nil)
	b[47] = 9
	if got, err := parseOffer(b); err != nil || got != o {
		t.Errorf("offer with a reserved byte: %v, %v", got, err)
	}
	a := answer{version: 1}
	b = a.appendBinary(nil)
	b[63] = 9
	if got, err := parseAnswer(b); err != nil || got != a {
		t.Errorf("answer with a reserved byte: %v, %v", got, err)
	}
	body := make([]byte, cell.BodySize)
	body[511] = 9
	if got, err := parseNetInfo(body); err != nil || got != (netInfo{}) {
		t.Errorf("NETINFO with a reserved byte: %v, %v", got, err)
	}
}

func TestVersionChoice(t *testing.T) {
	o := offer{versions: [maxVersions]uint8{9, 5, 2}}
	for _, c := range []struct {
		ours []uint8
		want uint8
	}{{[]uint8{1}, 0}, {[]uint8{2, 1}, 2}, {[]uint8{6, 5, 2}, 5}, {[]uint8{2, 9}, 9}, {nil, 0}} {
		if got, ok := o.choose(c.ours); got != c.want || ok != (c.want != 0) {
			t.Errorf("choose(%v) = %d, %v; want %d", c.ours, got, ok, c.want)
		}
	}
}

func TestOwnClockOutOfRangeIsNotTold(t *testing.T) {
	for _, now := range []time.Time{{}, time.Unix(-1, 0), time.UnixMilli(latest + 1)} {
		if got, err := parseTime(appendTime(nil, now)); err != nil || !got.IsZero() {
			t.Errorf("told %v, %v of %v; want nothing", got, err, now)
		}
	}
}

func TestPaddingClamp(t *testing.T) {
	ms := func(low, high int) Padding {
		return Padding{time.Duration(low) * time.Millisecond, time.Duration(high) * time.Millisecond}
	}
	for _, c := range []struct{ relay, asked, want Padding }{
		{ms(1500, 9500), ms(1500, 9500), ms(1500, 9500)},
		{ms(1500, 9500), ms(1, 2), ms(1500, 9500)},         // no faster than the relay likes
		{ms(1500, 9500), ms(9000, 14000), ms(9000, 14000)}, // but slower
		{ms(1500, 9500), ms(0, 0), Padding{}},
		{Padding{}, ms(1500, 9500), Padding{}},
		{ms(1500, 9500), ms(0, 12000), ms(1500, 12000)},
	} {
		if got := c.relay.clamp(c.asked); got != c.want {
			t.Errorf("%v.clamp(%v) = %v, want %v", c.relay, c.asked, got, c.want)
		}
	}
}

func TestPaddingDefaults(t *testing.T) {
	for _, c := range []struct{ in, want Padding }{
		{Padding{}, Padding{1500 * time.Millisecond, 9500 * time.Millisecond}},
		{Padding{Low: -1}, Padding{}},
		{Padding{time.Hour, 2 * time.Hour}, Padding{time.Minute, time.Minute}},
		{Padding{time.Second + 1, 2*time.Second + 999}, Padding{time.Second, 2 * time.Second}},
		{Padding{3 * time.Second, time.Second}, Padding{time.Second, time.Second}},
	} {
		if got := c.in.withDefaults(); got != c.want {
			t.Errorf("%v.withDefaults() = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestPaddingDraw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := paddings().Draw(t, "padding")
		if unpackPadding(p.pack()) != p {
			t.Fatalf("%v does not survive packing", p)
		}
		if d := p.draw(); d < p.Low || d > p.High {
			t.Fatalf("%v drew %v", p, d)
		}
	})
	// The larger of two uniform draws: two thirds of the way on average.
	var sum time.Duration
	p := Padding{0, 3 * time.Second}
	for range 20_000 {
		sum += p.draw()
	}
	if mean := sum / 20_000; mean < 1950*time.Millisecond || mean > 2050*time.Millisecond {
		t.Errorf("mean draw %v, want 2s", mean)
	}
}
