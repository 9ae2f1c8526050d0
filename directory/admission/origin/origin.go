// Package origin says which autonomous system and which country an address lies
// in, by a table that the operator of an authority supplies: a maxminddb file or
// a list of prefixes or ranges. It ships none and asks nobody.
//
// A list is text, one entry a line, fields split by spaces, tabs or commas; what
// follows a # is a comment. Both forms may be packed with gzip:
//
//	192.0.2.0/24 64500 DE            prefix, number, country if known
//	192.0.2.0 192.0.2.255 64500 DE Example Network    the form of iptoasn.com
//
// A longer prefix counts before a shorter one that holds it. In a maxminddb file
// the number is autonomous_system_number (GeoLite2-ASN and others) or asn, the
// country country.iso_code or country_code.
package origin

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
)

// maxTable is our choice: the most bytes of a table, packed or not. The tables of
// the whole internet have 10 to 60 MiB.
const maxTable = 256 << 20

// ErrMalformed is in the chain of what is wrong with a table's contents.
var ErrMalformed = errors.New("malformed table of networks")

// A Place is what a table says of an address. The zero value is nothing.
type Place struct {
	AS      uint32 // 0: not known
	Country string // two capital letters, "": not known
}

// A Table says where addresses lie. It does not change and may be used by
// several goroutines at once; the nil one knows nothing.
type Table struct {
	digest [32]byte
	lookup func(netip.Addr) Place
}

// Open reads a table.
func Open(path string) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("table of networks: %w", err)
	}
	defer f.Close()
	b, err := bounded(f)
	if err != nil {
		return nil, fmt.Errorf("table of networks %s: %w", path, err)
	}
	t, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("table of networks %s: %w", path, err)
	}
	return t, nil
}

// bounded reads all of r, which must not be more than a table may have.
func bounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxTable+1))
	if err == nil && len(b) > maxTable {
		err = fmt.Errorf("%w: more than %d MiB", ErrMalformed, maxTable>>20)
	}
	return b, err
}

// Parse reads a table. It keeps b.
func Parse(b []byte) (*Table, error) {
	t := &Table{digest: sha256.Sum256(b)}
	if bytes.HasPrefix(b, gzipMagic) {
		var err error
		if b, err = unpack(b); err != nil {
			return nil, err
		}
	}
	var err error
	if bytes.Contains(b[max(0, len(b)-mmdbTail):], mmdbMarker) {
		t.lookup, err = parseMaxMind(b)
	} else {
		t.lookup, err = parseList(b)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Of returns where an address lies.
func (t *Table) Of(a netip.Addr) Place {
	if t == nil || !a.IsValid() {
		return Place{}
	}
	return t.lookup(a.Unmap())
}

// Digest is the SHA-256 of the table as it was read, zero of the nil table: two
// authorities that vote by the same table say so with it.
func (t *Table) Digest() [32]byte {
	if t == nil {
		return [32]byte{}
	}
	return t.digest
}

// isCountry reports whether s is two capital letters.
func isCountry(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}
