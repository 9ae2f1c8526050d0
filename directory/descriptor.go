package directory

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"tunic/directory/keys"
)

const ( // fixed by docs/protocol.md, "Descriptors"
	// MaxDescriptor is the most bytes of a descriptor.
	MaxDescriptor = 32 << 10
	// DescriptorLife is how long a descriptor holds after it was published.
	DescriptorLife = 18 * time.Hour
	// DescriptorAhead is how far in the future a descriptor may be published:
	// what a clock may be wrong by.
	DescriptorAhead = time.Hour
	// MaxRate is the greatest bandwidth that a descriptor can name, bytes/s:
	// that of the greatest weight.
	MaxRate = MaxWeight * 1000

	maxPlatform = 128
	// MaxContact is the longest contact.
	MaxContact = 256
	maxUptime  = 100 * 365 * 24 * 3600 // seconds
)

// A Descriptor is what a relay says about itself.
type Descriptor struct {
	Network      Digest
	ID           keys.RelayID
	Signing      keys.Certificate // the identity's, for the key that signs the rest
	Published    time.Time
	Nickname     string
	Addrs        []netip.AddrPort // one IPv4 address, then at most one IPv6
	Link         keys.Certificate // the signing key's, for the link key
	Circuit      keys.Certificate // and for the circuit key
	LinkVersions Versions         // handshake versions of links that it answers
	HopVersions  Versions         // of hop handshakes
	Platform     string           // free text
	Contact      string           // free text, "" if none
	Uptime       time.Duration    // whole seconds
	Rate         uint64           // bytes/s offered
	Burst        uint64           // bytes offered at once
	Observed     uint64           // bytes/s seen lately, 0 if nothing yet
	Families     []keys.Certificate
	Voucher      keys.Certificate // an established family's, for this relay; the zero value: none
	Policy       Policy

	digest  Digest
	summary *policySummary // of Policy, in a descriptor that was parsed or signed; else nil
}

// A policySummary is what [Policy.Summary] returns.
type policySummary struct{ v4, v6 PortSummary }

// FamilyDigest names the family whose key is given.
func FamilyDigest(key keys.FamilyPublic) Digest { return sha256.Sum256(key[:]) }

// Sign returns the descriptor as a document, signed with the key that d.Signing
// certifies, and notes its digest and the summary of its policy. Times are cut to
// milliseconds, Uptime to seconds.
func (d *Descriptor) Sign(k *keys.SigningKey) ([]byte, error) {
	w := &writer{}
	d.encode(w)
	if w.err != nil {
		return nil, w.err
	}
	doc := appendSignature(w.b, keys.LabelDescriptor, k)
	if len(doc) > MaxDescriptor {
		return nil, fmt.Errorf("encode descriptor of %d bytes: %w", len(doc), ErrTooLarge)
	}
	d.digest = DigestOf(doc)
	return doc, nil
}

func (d *Descriptor) encode(w *writer) {
	d.checkText(w)
	w.keyword("tunic-descriptor 1").end()
	w.keyword("network").binary(d.Network[:]).end()
	w.keyword("identity").binary(d.ID[:]).end()
	w.keyword("certificate").certificate(d.Signing).end()
	w.keyword("published").time(d.Published, timeLayout, "published").end()
	w.keyword("nickname").text(d.Nickname).end()
	for _, a := range d.Addrs {
		w.keyword("address").address(a).end()
	}
	w.keyword("link-key").certificate(d.Link).end()
	w.keyword("circuit-key").certificate(d.Circuit).end()
	w.keyword("versions").versions(d.LinkVersions).versions(d.HopVersions).end()
	w.keyword("platform").text(d.Platform).end()
	if d.Contact != "" {
		w.keyword("contact").text(d.Contact).end()
	}
	w.keyword("uptime").uint(uint64(d.Uptime/time.Second), maxUptime, "uptime").end()
	w.keyword("bandwidth").uint(d.Rate, MaxRate, "rate").uint(d.Burst, MaxRate, "burst").uint(d.Observed, MaxRate, "observed").end()
	if len(d.Families) > MaxFamilies || !strictly(d.Families, compareSigners) {
		w.fail("families")
	}
	for _, f := range d.Families {
		w.keyword("family").certificate(f).end()
	}
	if d.Voucher != (keys.Certificate{}) {
		w.keyword("voucher").certificate(d.Voucher).end()
	}
	d.encodePolicy(w)
}

// ValidNickname reports whether a descriptor can have this nickname.
func ValidNickname(s string) bool { return isName(s, MaxNickname, "") }

// ValidContact reports whether a descriptor can have this contact.
func ValidContact(s string) bool { return s == "" || isText(s, MaxContact) }

// ValidRelayAddrs reports whether a descriptor can have these addresses, in any order.
func ValidRelayAddrs(addrs []netip.AddrPort) bool {
	return validRelayAddrs(slices.SortedFunc(slices.Values(addrs), compareFamilies))
}

// compareFamilies orders addresses as descriptors do: IPv4 first.
func compareFamilies(a, b netip.AddrPort) int { return a.Addr().BitLen() - b.Addr().BitLen() }

// checkText spoils w unless the fields that are text or lists are in bounds.
func (d *Descriptor) checkText(w *writer) {
	switch {
	case !ValidNickname(d.Nickname):
		w.fail("nickname")
	case !validRelayAddrs(d.Addrs):
		w.fail("addresses")
	case !isText(d.Platform, maxPlatform):
		w.fail("platform")
	case !ValidContact(d.Contact):
		w.fail("contact")
	case d.Uptime < 0:
		w.fail("uptime")
	}
}

func (d *Descriptor) encodePolicy(w *writer) {
	if len(d.Policy.Rules) > MaxRules {
		w.fail("policy")
		return
	}
	if d.summary = d.Policy.summarise(); !d.summary.fits() {
		w.fail("policy")
	}
	for _, r := range d.Policy.Rules {
		if !r.valid() {
			w.fail("policy")
		}
		w.b = r.appendTo(w.b)
		w.end()
	}
}

// ParseDescriptor verifies and reads a descriptor of network n: signature and
// signing key's certificate first, then the fields, then what they must agree
// with: other certificates, the time, the network's rule about addresses. The
// error has ErrTooLarge, ErrMalformed, ErrOtherNetwork, ErrSignature, ErrExpired
// or ErrFuture in its chain.
func ParseDescriptor(b []byte, n *Network, now time.Time) (*Descriptor, error) {
	d, err := parseDescriptor(b, n, now)
	if err != nil {
		return nil, fmt.Errorf("descriptor: %w", err)
	}
	return d, nil
}

func parseDescriptor(b []byte, n *Network, now time.Time) (*Descriptor, error) {
	if len(b) > MaxDescriptor {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrTooLarge)
	}
	d := &Descriptor{digest: DigestOf(b)}
	r := &reader{rest: string(b)}
	d.readSigner(r)
	if r.err != nil {
		return nil, r.err
	}
	if d.Network != n.Digest() {
		return nil, ErrOtherNetwork
	}
	key, err := d.Signing.SigningKey(d.ID, now)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if err := r.verifySignature(b, keys.LabelDescriptor, key); err != nil {
		return nil, err
	}
	d.readRest(r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return d, d.check(n, key, now)
}

// readSigner reads what verifying needs.
func (d *Descriptor) readSigner(r *reader) {
	if r.take("tunic-descriptor") != "1" {
		r.fail("version")
	}
	r.binary(d.Network[:], r.take("network"), "network")
	r.binary(d.ID[:], r.take("identity"), "identity")
	d.Signing = r.certificate(r.take("certificate"), "certificate")
}

func (d *Descriptor) readRest(r *reader) {
	d.Published = r.time(r.take("published"), "published")
	if d.Nickname = cloned(r.take("nickname")); !isName(d.Nickname, MaxNickname, "") {
		r.fail("nickname")
	}
	d.Addrs = r.addresses()
	d.Link = r.certificate(r.take("link-key"), "link-key")
	d.Circuit = r.certificate(r.take("circuit-key"), "circuit-key")
	link, hop := r.two(r.take("versions"), "versions")
	d.LinkVersions, d.HopVersions = r.versions(link), r.versions(hop)
	d.Platform = r.text(r.take("platform"), maxPlatform, "platform")
	if r.at("contact") {
		d.Contact = r.text(r.take("contact"), MaxContact, "contact")
	}
	d.Uptime = time.Duration(r.uint(r.take("uptime"), maxUptime, "uptime")) * time.Second
	bw := r.split(r.take("bandwidth"), 3, "bandwidth")
	for i, n := range []*uint64{&d.Rate, &d.Burst, &d.Observed} {
		*n = r.uint(bw[i], MaxRate, "bandwidth")
	}
	for r.at("family") {
		d.Families = append(d.Families, r.certificate(r.take("family"), "family"))
		if len(d.Families) > MaxFamilies || !strictly(d.Families[max(0, len(d.Families)-2):], compareSigners) {
			r.fail("family")
		}
	}
	if r.at("voucher") {
		d.Voucher = r.certificate(r.take("voucher"), "voucher")
	}
	d.readPolicy(r)
}

// readPolicy reads the rules that end a descriptor.
func (d *Descriptor) readPolicy(r *reader) {
	for r.at("accept") || r.at("reject") {
		verb := "reject"
		if r.at("accept") {
			verb = "accept"
		}
		text := verb + " " + r.take(verb)
		rule, err := ParseRule(text)
		if err != nil || rule.String() != text || len(d.Policy.Rules) == MaxRules {
			r.fail("policy")
			return
		}
		d.Policy.Rules = append(d.Policy.Rules, rule)
	}
	if r.err != nil {
		return
	}
	if d.summary = d.Policy.summarise(); !d.summary.fits() {
		r.fail("policy: too many ranges of ports")
	}
}

// check says whether the fields agree with each other, the network and the time.
func (d *Descriptor) check(n *Network, key keys.SigningPublic, now time.Time) error {
	if _, err := d.Link.LinkKey(key, now); err != nil {
		return fmt.Errorf("link-key: %w: %w", ErrSignature, err)
	}
	if _, err := d.Circuit.CircuitKey(key, now); err != nil {
		return fmt.Errorf("circuit-key: %w: %w", ErrSignature, err)
	}
	for i := range d.Families {
		if _, err := d.Families[i].FamilyMember(d.ID, now); err != nil {
			return fmt.Errorf("family: %w: %w", ErrSignature, err)
		}
	}
	if d.Voucher != (keys.Certificate{}) {
		if _, err := d.Voucher.Newcomer(d.ID, now); err != nil {
			return fmt.Errorf("voucher: %w: %w", ErrSignature, err)
		}
	}
	switch {
	case d.Published.After(now.Add(DescriptorAhead)):
		return fmt.Errorf("published at %s: %w", FormatTime(d.Published), ErrFuture)
	case !now.Before(d.Published.Add(DescriptorLife)):
		return fmt.Errorf("published at %s: %w", FormatTime(d.Published), ErrExpired)
	}
	for _, a := range d.Addrs {
		if !n.PrivateAddresses && Private(a.Addr()) {
			return fmt.Errorf("address: %w: private", ErrMalformed)
		}
	}
	return nil
}

// Ports returns the summary of d.Policy. Of a descriptor that was parsed or signed,
// whose Policy must not be changed from then on, it costs nothing: [Policy.Summary]
// takes as long as 10 ms for rules that were made for that, and an authority asks
// for it of each relay in each vote.
func (d *Descriptor) Ports() (v4, v6 PortSummary) {
	s := d.summary
	if s == nil {
		s = d.Policy.summarise()
	}
	return s.v4, s.v6
}

// Digest returns the digest of the document that d was parsed from or signed as.
func (d *Descriptor) Digest() Digest { return d.digest }

// VouchedBy returns the family whose voucher the descriptor carries, zero if it
// carries none.
func (d *Descriptor) VouchedBy() Digest {
	if d.Voucher == (keys.Certificate{}) {
		return Digest{}
	}
	return FamilyDigest(d.Voucher.Signer)
}

// RelayAt is Relay without the families whose certificates have run out at t: a
// descriptor may outlive them by hours.
func (d *Descriptor) RelayAt(t time.Time) Relay {
	r := d.Relay()
	r.Family = slices.DeleteFunc(r.Family, func(f Digest) bool {
		i := slices.IndexFunc(d.Families, func(c keys.Certificate) bool { return FamilyDigest(c.Signer) == f })
		return !t.Before(d.Families[i].Expires)
	})
	if len(r.Family) == 0 {
		r.Family = nil
	}
	return r
}

// Relay returns what a vote says of the relay by its descriptor alone: all but
// flags, weight and age.
func (d *Descriptor) Relay() Relay {
	r := Relay{
		ID: d.ID, Nickname: d.Nickname, Addrs: slices.Clone(d.Addrs),
		LinkKey: d.Link.Subject, CircuitKey: d.Circuit.Subject,
		LinkVersions: d.LinkVersions, HopVersions: d.HopVersions,
	}
	r.Ports, r.Ports6 = d.Ports()
	for _, f := range d.Families {
		r.Family = append(r.Family, FamilyDigest(f.Signer))
	}
	slices.SortFunc(r.Family, compareDigest)
	return r
}
