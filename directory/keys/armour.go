package keys

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"
)

// A key file is text: a header line that names kind and version, then one
// keyword and its value per line, in a fixed order. There is one text for one
// content.
//
//	tunic circuit key, version 1
//	public KbXx…                  43 characters: 32 bytes in base64url
//	private 0xq9…                 43 characters: seed (Ed25519) or clamped scalar (X25519)
//	created 2026-11-21T12:00:00Z  link and circuit keys only
//	published never               link and circuit keys only; or a time
//	certificate AQOA…             195 characters; all but identities and families

// fileKind is what the header line of a key file names.
type fileKind string

const (
	fileIdentity fileKind = "identity key"
	fileSealed   fileKind = "identity key under a passphrase"
	fileSigning  fileKind = "signing key"
	fileNote     fileKind = "note key"
	fileLink     fileKind = "link key"
	fileCircuit  fileKind = "circuit key"
	fileFamily   fileKind = "family key"
)

var fileKinds = [...]fileKind{fileIdentity, fileSealed, fileSigning, fileNote, fileLink, fileCircuit, fileFamily}

// rotates reports whether the file has times of its own.
func (k fileKind) rotates() bool { return k == fileLink || k == fileCircuit }

// cert returns the kind of the certificate in the file, 0 for none.
func (k fileKind) cert() Kind {
	switch k {
	case fileSigning:
		return CertSigning
	case fileNote:
		return CertNote
	case fileLink:
		return CertLink
	case fileCircuit:
		return CertCircuit
	}
	return 0
}

// A record is the content of a key file.
type record struct {
	kind      fileKind
	public    [32]byte
	private   [32]byte
	created   time.Time // UTC, whole seconds
	published time.Time // zero: never
	cert      Certificate
}

const timeLayout = "2006-01-02T15:04:05Z"

const never = "never"

func (k fileKind) header() string { return "tunic " + string(k) + ", version 1" }

// encode returns the file's text. The caller wipes it.
func (r *record) encode() []byte {
	var b bytes.Buffer
	b.Grow(maxFile) // so that no growth leaves copies of the key behind
	b.WriteString(r.kind.header() + "\n")
	line(&b, "public", encodeText(r.public[:]))
	private := encodeText(r.private[:])
	line(&b, "private", private)
	clear(private)
	if r.kind.rotates() {
		line(&b, "created", []byte(r.created.UTC().Format(timeLayout)))
		published := never
		if !r.published.IsZero() {
			published = r.published.UTC().Format(timeLayout)
		}
		line(&b, "published", []byte(published))
	}
	if r.kind.cert() != 0 {
		text, _ := r.cert.MarshalText() // never fails
		line(&b, "certificate", text)
	}
	return b.Bytes()
}

func line(b *bytes.Buffer, keyword string, value []byte) {
	b.WriteString(keyword)
	b.WriteByte(' ')
	b.Write(value)
	b.WriteByte('\n')
}

// lines reads a key file line by line; the first line that is not what it
// should be spoils it.
type lines struct {
	rest []byte
	err  error
}

// next returns the value of the next line, which begins with keyword.
func (l *lines) next(keyword string) []byte {
	if l.err != nil {
		return nil
	}
	text, rest, found := bytes.Cut(l.rest, []byte("\n"))
	value, match := bytes.CutPrefix(text, []byte(keyword+" "))
	if !found || !match || len(value) == 0 {
		l.err = fmt.Errorf("key file: no line %q where it belongs: %w", keyword, ErrMalformed)
		return nil
	}
	l.rest = rest
	return value
}

// bytes reads a line whose value is len(dst) bytes in base64url.
func (l *lines) bytes(dst []byte, keyword string) {
	if v := l.next(keyword); l.err == nil {
		l.err = decodeText(dst, v, keyword)
	}
}

// time reads a line whose value is a time.
func (l *lines) time(keyword string) time.Time {
	v := string(l.next(keyword))
	if l.err != nil {
		return time.Time{}
	}
	t, err := time.Parse(timeLayout, v)
	if err != nil || t.Format(timeLayout) != v || t.Unix() < 0 || t.Unix() > maxTime {
		l.err = fmt.Errorf("key file: line %q: %w", keyword, ErrMalformed)
		return time.Time{}
	}
	return t
}

// header reads the first line and returns what it names.
func (l *lines) header() fileKind {
	text, rest, found := bytes.Cut(l.rest, []byte("\n"))
	for _, k := range fileKinds {
		if found && string(text) == k.header() {
			l.rest = rest
			return k
		}
	}
	l.err = fmt.Errorf("key file: unknown kind or version: %w", ErrMalformed)
	return ""
}

func (l *lines) done() error {
	if l.err == nil && len(l.rest) != 0 {
		l.err = fmt.Errorf("key file: %d bytes behind its end: %w", len(l.rest), ErrMalformed)
	}
	return l.err
}

// parseRecord decodes a key file of the given kind, [fileSealed] excepted. It
// checks that the private key belongs to the public one and the certificate to
// both, not the certificate's signature and times.
func parseRecord(b []byte, kind fileKind) (*record, error) {
	if len(b) > maxFile {
		return nil, fmt.Errorf("key file of %d bytes: %w", len(b), ErrMalformed)
	}
	l := &lines{rest: b}
	if got := l.header(); l.err == nil && got != kind {
		return nil, fmt.Errorf("key file: a %s, not a %s: %w", got, kind, ErrMalformed)
	}
	r := &record{kind: kind}
	l.bytes(r.public[:], "public")
	l.bytes(r.private[:], "private")
	if kind.rotates() {
		r.created = l.time("created")
		if rest, ok := bytes.CutPrefix(l.rest, []byte("published "+never+"\n")); ok && l.err == nil {
			l.rest = rest
		} else {
			r.published = l.time("published")
		}
	}
	if kind.cert() != 0 {
		if v := l.next("certificate"); l.err == nil {
			l.err = r.cert.UnmarshalText(v)
		}
	}
	if err := l.done(); err != nil {
		return nil, err
	}
	if scalar := r.private; kind.rotates() {
		clamp(&scalar)
		if scalar != r.private {
			return nil, fmt.Errorf("key file: X25519 key that is not clamped: %w", ErrMalformed)
		}
	}
	if r.derived() != r.public {
		return nil, fmt.Errorf("key file: private and public key differ: %w", ErrMalformed)
	}
	if c := kind.cert(); c != 0 && (r.cert.Kind != c || r.cert.Subject != r.public) {
		return nil, fmt.Errorf("key file: certificate of another key: %w", ErrMalformed)
	}
	return r, nil
}

// derived returns the public key of the private one.
func (r *record) derived() (p [32]byte) {
	if r.kind.rotates() {
		key, err := ecdh.X25519().NewPrivateKey(r.private[:])
		if err != nil { // 32 bytes are always a key
			return p
		}
		copy(p[:], key.PublicKey().Bytes())
		return p
	}
	key := ed25519.NewKeyFromSeed(r.private[:])
	copy(p[:], key[32:])
	clear(key)
	return p
}

// clamp sets the five bits of an X25519 scalar that its use ignores (RFC 7748,
// section 5), so that a key has one text.
func clamp(scalar *[32]byte) {
	scalar[0] &= 248
	scalar[31] = scalar[31]&127 | 64
}

func (r *record) wipe() { clear(r.private[:]) }

// isSealed reports whether b looks like an identity under a passphrase.
func isSealed(b []byte) bool { return strings.HasPrefix(string(b), fileSealed.header()+"\n") }
