package origin

import (
	"fmt"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
)

// mmdbMarker stands before the metadata of a maxminddb file, which lie in its
// last 128 KiB.
var mmdbMarker = []byte("\xab\xcd\xefMaxMind.com")

const mmdbTail = 128 << 10

// A record is what is read of an entry. Databases name the same things
// differently.
type record struct {
	Number  uint32 `maxminddb:"autonomous_system_number"`
	ASN     uint32 `maxminddb:"asn"`
	Country struct {
		Code string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Code string `maxminddb:"country_code"`
}

func (r *record) place() Place {
	p := Place{AS: r.Number, Country: r.Country.Code}
	if p.AS == 0 {
		p.AS = r.ASN
	}
	if p.Country == "" {
		p.Country = r.Code
	}
	if !isCountry(p.Country) {
		p.Country = ""
	}
	return p
}

// parseMaxMind opens a maxminddb file that is in memory, where replacing the
// file can't change it, and verifies it as a whole, so that lookups can't fail.
func parseMaxMind(b []byte) (func(netip.Addr) Place, error) {
	db, err := maxminddb.OpenBytes(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := db.Verify(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return func(a netip.Addr) Place {
		var r record
		if db.Lookup(a).Decode(&r) != nil {
			return Place{} // an entry of another shape says nothing
		}
		return r.place()
	}, nil
}
