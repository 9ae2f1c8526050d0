package cell_test

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"tunic/cell"
)

// A body is one kind of message data, as the tests see it: decode gives a value
// that encodes itself.
type body struct {
	name   string
	decode func(b []byte) (encoding.BinaryAppender, error)
}

var (
	bodyBegin     = body{"BEGIN", func(b []byte) (encoding.BinaryAppender, error) { return cell.ParseBegin(b) }}
	bodyConnected = body{"CONNECTED", func(b []byte) (encoding.BinaryAppender, error) { return cell.ParseConnected(b) }}
	bodyEnd       = body{"END", func(b []byte) (encoding.BinaryAppender, error) { return cell.ParseEnd(b) }}
	bodyResolve   = body{"RESOLVE", func(b []byte) (encoding.BinaryAppender, error) { return cell.ParseResolve(b) }}
	bodyResolved  = body{"RESOLVED", func(b []byte) (encoding.BinaryAppender, error) { return cell.ParseResolved(b) }}
	bodySendme    = body{"SENDME", func(b []byte) (encoding.BinaryAppender, error) { return cell.ParseSendme(b) }}
	bodyXOn       = body{"XON", func(b []byte) (encoding.BinaryAppender, error) { return cell.ParseXOn(b) }}
	bodyExtend    = body{"EXTEND", func(b []byte) (encoding.BinaryAppender, error) { return cell.ParseExtend(b) }}

	bodies = []body{bodyBegin, bodyConnected, bodyEnd, bodyResolve, bodyResolved, bodySendme, bodyXOn, bodyExtend}
)

// validBodies are the bytes of the specification's examples, with what they mean.
var validBodies = []struct {
	name string
	body body
	want encoding.BinaryAppender
	in   string // hex; text in quotes
}{
	{"name", bodyBegin, cell.BeginRequest{Host: "example.com", Port: 443}, `00 01bb 0b "example.com"`},
	{"flags", bodyBegin, cell.BeginRequest{Flags: 5, Host: "a", Port: 1}, `05 0001 01 "a"`},
	{"IPv6 address", bodyBegin, cell.BeginRequest{Flags: cell.BeginNoIPv4, Host: "2001:db8::1", Port: 65535}, `02 ffff 0b "2001:db8::1"`},
	{"longest name", bodyBegin, cell.BeginRequest{Host: strings.Repeat("n", 253), Port: 80}, `00 0050 fd "` + strings.Repeat("n", 253) + `"`},
	{"every byte that a host may have", bodyBegin, cell.BeginRequest{Host: hostBytes, Port: 80}, `00 0050 43 ` + hex.EncodeToString([]byte(hostBytes))},

	{"no address", bodyConnected, cell.ConnectedReply{TTL: 0}, `00 00000000`},
	{"IPv4", bodyConnected, cell.ConnectedReply{Addr: netip.MustParseAddr("192.0.2.1"), TTL: 3600}, `04 c0000201 00000e10`},
	{"IPv6", bodyConnected, cell.ConnectedReply{Addr: netip.MustParseAddr("2001:db8::1"), TTL: 1<<32 - 1}, `06 20010db8000000000000000000000001 ffffffff`},

	{"done", bodyEnd, cell.EndDone, `06`},
	{"a reason not known yet", bodyEnd, cell.EndReason(255), `ff`},

	{"forward", bodyResolve, cell.ResolveRequest{Host: "example.com"}, `00 0b "example.com"`},
	{"reverse IPv4", bodyResolve, cell.ResolveRequest{Reverse: true, Host: "192.0.2.1"}, `01 09 "192.0.2.1"`},
	{"reverse IPv6", bodyResolve, cell.ResolveRequest{Reverse: true, Host: "::1"}, `01 03 "::1"`},

	{"both families", bodyResolved, cell.ResolvedReply{Answers: []cell.Answer{
		{Kind: cell.AnswerIPv6, Addr: netip.MustParseAddr("::1"), TTL: 60},
		{Kind: cell.AnswerIPv4, Addr: netip.MustParseAddr("127.0.0.1"), TTL: 61}}},
		`02 06 10 00000000000000000000000000000001 0000003c 04 04 7f000001 0000003d`},
	{"host name", bodyResolved, cell.ResolvedReply{Answers: []cell.Answer{{Kind: cell.AnswerName, Name: "a.b", TTL: 1}}}, `01 0c 03 "a.b" 00000001`},
	{"try again", bodyResolved, cell.ResolvedReply{Answers: []cell.Answer{{Kind: cell.AnswerTryAgain, TTL: 5}}}, `01 f0 00 00000005`},
	{"not found", bodyResolved, cell.ResolvedReply{Answers: []cell.Answer{{Kind: cell.AnswerNotFound}}}, `01 f1 00 00000000`},
	{"sixteen answers", bodyResolved, cell.ResolvedReply{Answers: sixteen}, `10` + strings.Repeat(` 04 04 01020304 00000007`, 16)},

	{"tag", bodySendme, cell.SendmeTag{0: 1, 15: 2}, `01 0000000000000000000000000000 02`},
	{"rate", bodyXOn, cell.XOnRate(1000), `000003e8`},
	{"no limit", bodyXOn, cell.XOnRate(0), `00000000`},
	{"extend", bodyExtend, cell.ExtendRequest{Identity: [32]byte{0: 9}, Handshake: make([]byte, 1416)}, `09` + strings.Repeat("00", 31+1416)},
}

var (
	hostBytes = `!"#$%&'()*+,-.0123456789:;<=>?@[\]^_` + "`abcdefghijklmnopqrstuvwxyz{|}~"
	sixteen   = slicesRepeat(cell.Answer{Kind: cell.AnswerIPv4, Addr: netip.MustParseAddr("1.2.3.4"), TTL: 7}, 16)
)

func slicesRepeat(a cell.Answer, n int) []cell.Answer {
	out := make([]cell.Answer, n)
	for i := range out {
		out[i] = a
	}
	return out
}

// raw turns the notation of the tables into bytes.
func raw(t testing.TB, s string) []byte {
	t.Helper()
	var out []byte
	for i, part := range strings.Split(s, `"`) {
		if i%2 == 1 {
			out = append(out, part...)
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
		if err != nil {
			t.Fatalf("%q in a table of the tests: %v", part, err)
		}
		out = append(out, b...)
	}
	return out
}

func TestBodiesRoundTrip(t *testing.T) {
	for _, tt := range validBodies {
		t.Run(tt.body.name+"/"+tt.name, func(t *testing.T) {
			in := raw(t, tt.in)
			got, err := tt.body.decode(in)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("decode(%x) = %+v, %v, want %+v", in, got, err, tt.want)
			}
			prefix := []byte("before")
			out, err := tt.want.AppendBinary(prefix)
			if err != nil || !bytes.Equal(out, append(prefix, in...)) {
				t.Errorf("AppendBinary = %x, %v, want %x behind the prefix", out, err, in)
			}
		})
	}
}

// Every valid body cut short anywhere, and with one byte more, is refused.
func TestBodiesRejectOtherLengths(t *testing.T) {
	for _, tt := range validBodies {
		in := raw(t, tt.in)
		for n := range in {
			if got, err := tt.body.decode(in[:n]); !errors.Is(err, cell.ErrMalformed) {
				t.Errorf("%s %s: the first %d of %d bytes give %+v, %v", tt.body.name, tt.name, n, len(in), got, err)
			}
		}
		if got, err := tt.body.decode(append(in, 0)); !errors.Is(err, cell.ErrMalformed) {
			t.Errorf("%s %s: a byte more gives %+v, %v", tt.body.name, tt.name, got, err)
		}
	}
}

func TestBodiesReject(t *testing.T) {
	type row struct{ name, in string }
	tests := []struct {
		body body
		rows []row
	}{
		{bodyBegin, []row{
			{"port 0", `00 0000 01 "a"`},
			{"no host", `00 0050 00`},
			{"name of 254 bytes", `00 0050 fe "` + strings.Repeat("n", 254) + `"`},
			{"name of 255 bytes", `00 0050 ff "` + strings.Repeat("n", 255) + `"`},
			{"NUL in the name", `00 0050 03 61 00 62`},
			{"space", `00 0050 03 "a b"`},
			{"slash", `00 0050 03 "a/b"`},
			{"upper case", `00 0050 03 "aBc"`},
			{"DEL", `00 0050 01 7f`},
			{"not ASCII", `00 0050 02 c3a4`},
			{"unknown flag", `08 0050 01 "a"`},
			{"highest flag", `80 0050 01 "a"`},
			{"neither family wanted", `03 0050 01 "a"`},
			{"length beyond the message", `00 0050 02 "a"`},
			{"length short of the message", `00 0050 01 "ab"`},
		}},
		{bodyConnected, []row{
			{"unknown family", `05 00000000`},
			{"family 0 with an address", `00 7f000001 00000000`},
			{"family 4 with 16 bytes", `04 00000000000000000000000000000001 00000000`},
			{"family 6 with 4 bytes", `06 7f000001 00000000`},
			{"IPv4 in IPv6", `06 00000000000000000000ffff7f000001 00000000`},
		}},
		{bodyEnd, []row{{"reason 0", `00`}, {"two reasons", `0606`}}},
		{bodyResolve, []row{
			{"unknown kind", `02 01 "a"`},
			{"upper case", `00 01 "A"`},
			{"reverse of a name", `01 0b "example.com"`},
			{"reverse, not the shortest form", `01 0f "0:0:0:0:0:0:0:1"`},
			{"reverse with a zone", `01 09 "fe80::1%1"`},
			{"reverse of IPv4 in IPv6", `01 10 "::ffff:127.0.0.1"`},
			{"reverse in brackets", `01 05 "[::1]"`},
		}},
		{bodyResolved, []row{
			{"no answers", `00`},
			{"seventeen answers", `11` + strings.Repeat(` 04 04 01020304 00000007`, 17)},
			{"fewer than counted", `02 04 04 01020304 00000007`},
			{"more than counted", `01` + strings.Repeat(` 04 04 01020304 00000007`, 2)},
			{"unknown kind", `01 05 00 00000000`},
			{"IPv4 of 5 bytes", `01 04 05 0102030405 00000000`},
			{"IPv4 of 16 bytes", `01 04 10 00000000000000000000000000000001 00000000`},
			{"IPv6 of 4 bytes", `01 06 04 01020304 00000000`},
			{"IPv4 in IPv6", `01 06 10 00000000000000000000ffff7f000001 00000000`},
			{"empty name", `01 0c 00 00000000`},
			{"upper case", `01 0c 01 "A" 00000000`},
			{"name of 254 bytes", `01 0c fe "` + strings.Repeat("n", 254) + `" 00000000`},
			{"failure with a value", `01 f0 01 00 00000000`},
			{"two failures", `02` + strings.Repeat(` f0 00 00000000`, 2)},
			{"failure behind an answer", `02 04 04 01020304 00000007 f1 00 00000000`},
			{"length beyond the message", `01 04 ff 01020304 00000007`},
			{"longer than a message", `02` + strings.Repeat(` 0c fd "`+strings.Repeat("n", 253)+`" 00000000`, 2)},
		}},
	}
	for _, tt := range tests {
		for _, row := range tt.rows {
			t.Run(tt.body.name+"/"+row.name, func(t *testing.T) {
				if got, err := tt.body.decode(raw(t, row.in)); !errors.Is(err, cell.ErrMalformed) {
					t.Errorf("decode = %+v, %v, want ErrMalformed", got, err)
				}
			})
		}
	}
}

// What a decoder would refuse, an encoder does not make.
func TestEncodersRefuse(t *testing.T) {
	v4, mapped, zoned := netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("::ffff:1.2.3.4"), netip.MustParseAddr("fe80::1%eth0")
	answers := func(a ...cell.Answer) cell.ResolvedReply { return cell.ResolvedReply{Answers: a} }
	long := cell.Answer{Kind: cell.AnswerName, Name: strings.Repeat("n", 253)}
	tests := []encoding.BinaryAppender{
		cell.BeginRequest{Host: "a"},
		cell.BeginRequest{Port: 1},
		cell.BeginRequest{Host: "A", Port: 1},
		cell.BeginRequest{Host: strings.Repeat("n", 254), Port: 1},
		cell.BeginRequest{Host: "a", Port: 1, Flags: 8},
		cell.BeginRequest{Host: "a", Port: 1, Flags: 3},
		cell.ConnectedReply{Addr: mapped},
		cell.ConnectedReply{Addr: zoned},
		cell.EndReason(0),
		cell.ResolveRequest{},
		cell.ResolveRequest{Reverse: true, Host: "a"},
		answers(),
		answers(slicesRepeat(cell.Answer{Kind: cell.AnswerIPv4, Addr: v4}, 17)...),
		answers(cell.Answer{Kind: cell.AnswerIPv4}),
		answers(cell.Answer{Kind: cell.AnswerIPv6, Addr: v4}),
		answers(cell.Answer{Kind: cell.AnswerIPv6, Addr: mapped}),
		answers(cell.Answer{Kind: cell.AnswerIPv6, Addr: zoned}),
		answers(cell.Answer{Kind: cell.AnswerIPv4, Addr: v4, Name: "a"}),
		answers(cell.Answer{Kind: cell.AnswerName, Addr: v4, Name: "a"}),
		answers(cell.Answer{Kind: cell.AnswerName}),
		answers(cell.Answer{Kind: cell.AnswerNotFound, Name: "a"}),
		answers(cell.Answer{Kind: 1}),
		answers(long, long),
		cell.ExtendRequest{Handshake: make([]byte, 1415)},
	}
	for _, v := range tests {
		if got, err := v.AppendBinary(nil); !errors.Is(err, cell.ErrMalformed) || len(got) != 0 {
			t.Errorf("%+v encodes as %x, %v, want ErrMalformed", v, got, err)
		}
	}
}

func TestFitKeepsWhatOneMessageHolds(t *testing.T) {
	long := cell.Answer{Kind: cell.AnswerName, Name: strings.Repeat("n", 100)}
	short := cell.Answer{Kind: cell.AnswerIPv4, Addr: netip.MustParseAddr("1.2.3.4")}
	for _, tt := range []struct{ in, want []cell.Answer }{
		{slicesRepeat(long, 6), slicesRepeat(long, 4)},     // 1 + 4·106 = 425; a fifth would make 531
		{slicesRepeat(short, 20), slicesRepeat(short, 16)}, // 1 + 16·10 = 161
		{slicesRepeat(short, 3), slicesRepeat(short, 3)},
	} {
		got := cell.ResolvedReply{Answers: tt.in}.Fit()
		if !reflect.DeepEqual(got.Answers, tt.want) {
			t.Errorf("Fit of %d answers keeps %d, want %d", len(tt.in), len(got.Answers), len(tt.want))
		}
		if _, err := got.AppendBinary(nil); err != nil {
			t.Errorf("what Fit keeps does not encode: %v", err)
		}
	}
}

// An error names no destination: it may end up in a log.
func TestErrorsDoNotEchoTheHost(t *testing.T) {
	const secret = "secret"
	inputs := []error{}
	add := func(_ any, err error) { inputs = append(inputs, err) }
	add(cell.ParseBegin(raw(t, `00 0000 06 "`+secret+`"`)))
	add(cell.ParseBegin(raw(t, `00 0050 07 "/`+secret+`"`)))
	add(cell.ParseBegin(raw(t, `00 0050 06 "`+secret+`" 00`)))
	add(cell.ParseResolve(raw(t, `01 06 "`+secret+`"`)))
	add(cell.ParseResolved(raw(t, `01 0c 07 "/`+secret+`" 00000000`)))
	add(cell.ResolveRequest{Reverse: true, Host: secret}.AppendBinary(nil))
	add(cell.ConnectedReply{Addr: netip.MustParseAddr("fe80::1%" + secret)}.AppendBinary(nil))
	for _, err := range inputs {
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestParseEmpty(t *testing.T) {
	if err := cell.ParseEmpty(nil); err != nil {
		t.Errorf("ParseEmpty of nothing: %v", err)
	}
	if err := cell.ParseEmpty([]byte{0}); !errors.Is(err, cell.ErrMalformed) {
		t.Errorf("ParseEmpty of a byte: %v, want ErrMalformed", err)
	}
}

func TestParseDestroy(t *testing.T) {
	b := make([]byte, cell.BodySize)
	b[0], b[511] = 7, 1 // what follows the reason is ignored
	if r, err := cell.ParseDestroy(b); r != cell.ReasonKey || err != nil {
		t.Errorf("ParseDestroy = %v, %v, want %v", r, err, cell.ReasonKey)
	}
	if _, err := cell.ParseDestroy(b[:511]); !errors.Is(err, cell.ErrMalformed) {
		t.Errorf("ParseDestroy of 511 bytes: %v, want ErrMalformed", err)
	}
}

func TestDirNonceRoundTrip(t *testing.T) {
	want := cell.DirNonce{0: 1, 31: 2}
	b := bytes.Repeat([]byte{0xff}, cell.BodySize)
	cell.PutDirNonce(b, &want)
	if !bytes.Equal(b[32:], make([]byte, cell.BodySize-32)) {
		t.Errorf("PutDirNonce wrote %x", b)
	}
	b[511] = 1
	if got, err := cell.ParseDirNonce(b); got != want || err != nil {
		t.Errorf("ParseDirNonce = %x, %v, want %x", got, err, want)
	}
	if _, err := cell.ParseDirNonce(b[:511]); !errors.Is(err, cell.ErrMalformed) {
		t.Errorf("ParseDirNonce of 511 bytes: %v, want ErrMalformed", err)
	}
}

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]uint8{}
	for r := range 256 {
		for _, s := range []string{"destroy: " + cell.Reason(r).String(), "end: " + cell.EndReason(r).String()} {
			if other, ok := seen[s]; ok {
				t.Errorf("reasons %d and %d are both called %q", other, r, s)
			}
			seen[s] = uint8(r)
		}
	}
}
