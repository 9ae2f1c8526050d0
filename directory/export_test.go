package directory

// What fuzzing reads without keys: the text of signed documents, whose
// signatures no mutation would survive.

// ReencodeDescriptor parses the text of a descriptor, without its signature and
// without judging it, and encodes it again.
func ReencodeDescriptor(text string) (string, error) {
	d, r := &Descriptor{}, &reader{rest: text}
	d.readSigner(r)
	d.readRest(r)
	if err := r.done(); err != nil {
		return "", err
	}
	w := &writer{}
	d.encode(w)
	return string(w.b), w.err
}

// ReencodeVote is the same for a vote.
func ReencodeVote(text string) (string, error) {
	v, r := &Vote{}, &reader{rest: text}
	v.readSigner(r)
	v.readRest(r)
	if err := r.done(); err != nil {
		return "", err
	}
	w := &writer{}
	v.encode(w)
	return string(w.b), w.err
}

// ReencodeEnvelope is the same for an envelope.
func ReencodeEnvelope(b []byte) ([]byte, error) {
	e, body, err := readEnvelope(b)
	if err != nil {
		return nil, err
	}
	e.Vote = body
	return e.Encode()
}

// WithoutSignature returns a signed document without its last line.
func WithoutSignature(doc []byte) string { return string(doc[:len(doc)-signatureSize]) }
