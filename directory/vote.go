package directory

import (
	"fmt"
	"sort"
	"time"

	"tunic/directory/keys"
)

const ( // fixed by docs/protocol.md, "Votes"
	// MaxVote is the most bytes of a vote document.
	MaxVote = 32 << 20
	// MaxFindings is the most findings of a vote.
	MaxFindings = 1024
)

// A Vote is one authority's view of the network for one period.
type Vote struct {
	Network    Digest
	Author     keys.RelayID
	Signing    keys.Certificate // the author's identity's, for the key that signs the vote
	ValidAfter time.Time        // the period voted for
	Published  time.Time
	Methods    Versions  // consensus methods that the author supports
	Known      Flags     // flags that the author votes on at all
	Params     []Param   // ascending by name
	ASTable    Digest    // of the author's table of autonomous systems, zero: it has none
	Draw       Draw      // what the author knows of the shared random values
	Findings   []Finding // ascending by whom they are against
	Previous   *History  // the newest majority-signed checkpoint that the author holds, nil if none
	Entries    []VoteEntry

	digest Digest
}

// A VoteEntry is what one authority says of one relay.
type VoteEntry struct {
	Relay                // Weight is the weight claimed; FirstListed the day on which this authority first listed it
	Descriptor Digest    // of the relay's descriptor
	Published  time.Time // of the descriptor
	Unknown    Flags     // flags on which the author has no opinion for this relay: in Known, not in Flags
	Measured   uint64    // kB/s, 0 if not measured
	Refused    string    // the rule of admission that refuses it, "" if admitted; then it is not Valid
	Vouch      Vouch     // what its descriptor claims; the consensus says in Voucher whether that counts
}

// A Vouch is a family's word for a newcomer, as the newcomer's descriptor carries
// it.
type Vouch struct {
	By  Digest    // zero: nobody's
	Day time.Time // on which the author of the vote first saw it
}

// A Finding is the day on which a family, or a relay by its identity, was last
// found in quarantine.
type Finding struct {
	Against Digest
	Day     time.Time
}

func compareFindings(a, b Finding) int { return compareDigest(a.Against, b.Against) }

// Sign returns the vote as a document, signed with the key that v.Signing
// certifies, and notes its digest. Times are cut to milliseconds.
func (v *Vote) Sign(k *keys.SigningKey) ([]byte, error) {
	if len(v.Entries) > MaxRelays {
		return nil, fmt.Errorf("encode vote of %d relays: %w", len(v.Entries), ErrTooLarge)
	}
	w := &writer{b: make([]byte, 0, 8192+len(v.Entries)*512)}
	v.encode(w)
	if w.err != nil {
		return nil, w.err
	}
	doc := appendSignature(w.b, keys.LabelVote, k)
	if len(doc) > MaxVote {
		return nil, fmt.Errorf("encode vote of %d bytes: %w", len(doc), ErrTooLarge)
	}
	v.digest = DigestOf(doc)
	return doc, nil
}

// encode appends all but the signature.
func (v *Vote) encode(w *writer) {
	v.encodeHead(w)
	if !strictly(v.Entries, compareEntries) {
		w.fail("order of relays")
	}
	for i := range v.Entries {
		v.Entries[i].encode(w, v.Known)
	}
}

func compareEntries(a, b VoteEntry) int { return CompareID(a.ID, b.ID) }

func (v *Vote) encodeHead(w *writer) {
	w.keyword("tunic-vote 1").end()
	w.keyword("network").binary(v.Network[:]).end()
	w.keyword("authority").binary(v.Author[:]).end()
	w.keyword("certificate").certificate(v.Signing).end()
	w.keyword("valid-after").time(v.ValidAfter, timeLayout, "valid-after").end()
	w.keyword("published").time(v.Published, timeLayout, "published").end()
	w.keyword("methods").versions(v.Methods).end()
	w.flags("known-flags", v.Known)
	encodeParams(w, v.Params)
	v.encodeKnowledge(w)
	if v.Previous != nil {
		v.Previous.encode(w)
	}
	w.keyword("relays").uint(uint64(len(v.Entries)), MaxRelays, "relays").end()
}

// encodeKnowledge appends what the author goes by beside its entries.
func (v *Vote) encodeKnowledge(w *writer) {
	if !v.ASTable.IsZero() {
		w.keyword("as-table").binary(v.ASTable[:]).end()
	}
	v.Draw.encode(w)
	if len(v.Findings) > MaxFindings || !strictly(v.Findings, compareFindings) {
		w.fail("findings")
	}
	for i := range v.Findings {
		f := &v.Findings[i]
		w.keyword("finding").binary(f.Against[:]).time(f.Day, dateLayout, "finding").end()
	}
}

// readKnowledge reads what encodeKnowledge writes.
func (v *Vote) readKnowledge(r *reader) {
	v.ASTable = r.optionalDigest("as-table")
	v.Draw = readDraw(r)
	for r.at("finding") {
		var f Finding
		against, day := r.two(r.take("finding"), "finding")
		r.binary(f.Against[:], against, "finding")
		f.Day = r.date(day, "finding")
		v.Findings = append(v.Findings, f)
		if len(v.Findings) > MaxFindings || !strictly(v.Findings[max(0, len(v.Findings)-2):], compareFindings) {
			r.fail("finding")
		}
	}
}

func (e *VoteEntry) encode(w *writer, known Flags) {
	if e.Unknown&^known != 0 || e.Flags&^known != 0 || e.Flags&e.Unknown != 0 {
		w.fail("flags")
	}
	e.encodeFacts(w)
	e.encodeStanding(w)
	if e.Unknown != 0 {
		w.flags("unknown", e.Unknown)
	}
	if e.Measured != 0 {
		w.keyword("measured").uint(e.Measured, MaxWeight, "measured").end()
	}
	if e.Refused != "" {
		if !IsCode(e.Refused) || e.Flags.Has(Valid) {
			w.fail("refused")
		}
		w.keyword("refused").text(e.Refused).end()
	}
	if v := &e.Vouch; !v.By.IsZero() {
		w.keyword("vouched").binary(v.By[:]).time(v.Day, dateLayout, "vouched").end()
	}
}

// encodeFacts appends what the relay's descriptor alone determines.
func (e *VoteEntry) encodeFacts(w *writer) {
	e.encodeHead(w)
	w.keyword("descriptor").binary(e.Descriptor[:]).time(e.Published, timeLayout, "published").end()
	e.Relay.encodeFacts(w)
}

// Facts returns the lines of the entry that come from the relay's descriptor
// alone, its digest and time of publication among them: equal in the votes of
// all honest authorities that hold the same descriptor, so that a tally can
// count them as one.
func (e *VoteEntry) Facts() string {
	w := &writer{b: make([]byte, 0, 512)}
	e.encodeFacts(w)
	return string(w.b)
}

// ParseVote verifies and reads a vote by an authority of n. Certificates are
// judged at the vote's own valid-after, so that all authorities judge alike;
// whether that is the period at hand is for the caller to say.
func ParseVote(b []byte, n *Network) (*Vote, error) {
	if len(b) > MaxVote {
		return nil, fmt.Errorf("vote of %d bytes: %w", len(b), ErrTooLarge)
	}
	r := &reader{rest: string(b)}
	v := &Vote{digest: DigestOf(b)}
	v.readSigner(r)
	if r.err != nil {
		return nil, fmt.Errorf("vote: %w", r.err)
	}
	if err := v.verify(r, b, n); err != nil {
		return nil, fmt.Errorf("vote: %w", err)
	}
	v.readRest(r)
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("vote: %w", err)
	}
	return v, nil
}

// readSigner reads what verifying needs.
func (v *Vote) readSigner(r *reader) {
	if r.take("tunic-vote") != "1" {
		r.fail("version")
	}
	r.binary(v.Network[:], r.take("network"), "network")
	r.binary(v.Author[:], r.take("authority"), "authority")
	v.Signing = r.certificate(r.take("certificate"), "certificate")
	v.ValidAfter = r.time(r.take("valid-after"), "valid-after")
}

// verify checks author and signature, and takes the signature's line off r.
func (v *Vote) verify(r *reader, doc []byte, n *Network) error {
	switch {
	case v.Network != n.Digest():
		return ErrOtherNetwork
	case n.Authority(v.Author) == nil:
		return ErrUnknown
	}
	key, err := v.Signing.SigningKey(v.Author, v.ValidAfter)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return r.verifySignature(doc, keys.LabelVote, key)
}

func (v *Vote) readRest(r *reader) {
	v.Published = r.time(r.take("published"), "published")
	v.Methods = r.versions(r.take("methods"))
	v.Known = r.flags("known-flags")
	v.Params = readParams(r)
	v.readKnowledge(r)
	if r.at("previous") {
		v.Previous = readHistory(r)
	}
	count := int(r.uint(r.take("relays"), MaxRelays, "relays"))
	v.Entries = make([]VoteEntry, 0, min(count, len(r.rest)/minEntry))
	for len(v.Entries) < count && r.err == nil {
		v.Entries = append(v.Entries, VoteEntry{})
		v.Entries[len(v.Entries)-1].read(r, v.Known)
		if !strictly(v.Entries[max(0, len(v.Entries)-2):], compareEntries) {
			r.fail("order of relays")
		}
	}
}

func (e *VoteEntry) read(r *reader, known Flags) {
	e.readHead(r)
	digest, published := r.two(r.take("descriptor"), "descriptor")
	r.binary(e.Descriptor[:], digest, "descriptor")
	e.Published = r.time(published, "descriptor")
	e.readFacts(r)
	e.readStanding(r)
	if r.at("unknown") {
		if e.Unknown = r.flags("unknown"); e.Unknown == 0 {
			r.fail("unknown")
		}
	}
	if e.Unknown&^known != 0 || e.Flags&^known != 0 || e.Flags&e.Unknown != 0 {
		r.fail("flags")
	}
	if r.at("measured") {
		if e.Measured = r.uint(r.take("measured"), MaxWeight, "measured"); e.Measured == 0 {
			r.fail("measured")
		}
	}
	if r.at("refused") {
		if e.Refused = cloned(r.take("refused")); !IsCode(e.Refused) || e.Flags.Has(Valid) {
			r.fail("refused")
		}
	}
	if r.at("vouched") {
		by, day := r.two(r.take("vouched"), "vouched")
		r.binary(e.Vouch.By[:], by, "vouched")
		if e.Vouch.Day = r.date(day, "vouched"); e.Vouch.By.IsZero() {
			r.fail("vouched")
		}
	}
}

// Digest returns the digest of the document that v was parsed from or signed as.
func (v *Vote) Digest() Digest { return v.digest }

// Entry returns what the vote says of a relay, nil if nothing.
func (v *Vote) Entry(id keys.RelayID) *VoteEntry {
	i := sort.Search(len(v.Entries), func(i int) bool { return CompareID(v.Entries[i].ID, id) >= 0 })
	if i == len(v.Entries) || v.Entries[i].ID != id {
		return nil
	}
	return &v.Entries[i]
}
