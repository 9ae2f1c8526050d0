package directory_test

import (
	"encoding/base64"
	"errors"
	"testing"

	"tunic/directory"
)

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func TestDigestText(t *testing.T) {
	d := directory.DigestOf([]byte("x"))
	for _, want := range []directory.Digest{d, {}} {
		if got, err := directory.ParseDigest(want.String()); err != nil || got != want {
			t.Errorf("ParseDigest(%q) = %v, %v", want, got, err)
		}
	}
	s := d.String()
	for _, bad := range []string{"", "None", s + "=", s[1:], s + "A", s[:42] + "\n", s[:20] + "\n" + s[21:], s[:42] + "B", "+" + s[1:], encode64(make([]byte, 32))} {
		if got, err := directory.ParseDigest(bad); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("ParseDigest(%q) = %v, %v; want ErrMalformed", bad, got, err)
		}
	}
}

func TestFlagsText(t *testing.T) {
	for f := directory.Flags(0); f <= directory.AllFlags; f++ {
		if got, err := directory.ParseFlags(f.String()); err != nil || got != f {
			t.Errorf("ParseFlags(%q) = %v, %v", f, got, err)
		}
	}
	if s := directory.AllFlags.String(); s != "Exit Fast Guard HSDir Running Stable Valid" {
		t.Errorf("all flags are %q", s)
	}
	for _, bad := range []string{" ", "exit", "Fast Exit", "Exit Exit", "Exit  Fast", "Exit ", " Exit", "V2Dir"} {
		if f, err := directory.ParseFlags(bad); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("ParseFlags(%q) = %v, %v; want ErrMalformed", bad, f, err)
		}
	}
	if !directory.AllFlags.Has(directory.Exit|directory.Valid) || directory.Exit.Has(directory.Exit|directory.Valid) || directory.AllFlags.Len() != 7 {
		t.Error("Has or Len")
	}
}

func TestVersionsText(t *testing.T) {
	for _, in := range []string{"1", "1,2,31", "3,5"} {
		v, err := directory.ParseVersions(in)
		if err != nil || v.String() != in || v != directory.VersionsOf(v.List()...) {
			t.Errorf("ParseVersions(%q) = %v, %v", in, v, err)
		}
	}
	for _, bad := range []string{"", "0", "32", "1,1", "2,1", "1,", ",1", "01", "1 2"} {
		if v, err := directory.ParseVersions(bad); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("ParseVersions(%q) = %v, %v; want ErrMalformed", bad, v, err)
		}
	}
	if v := directory.VersionsOf(0, 1, 200); v != directory.VersionsOf(1) || v.Has(0) || v.Has(200) || v.Has(33) {
		t.Errorf("versions out of range: %v", v)
	}
}
