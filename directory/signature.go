package directory

import (
	"fmt"
	"strings"

	"tunic/directory/keys"
)

const signatureLine = "signature" // the keyword of a signed document's last line

// signatureSize is the length of that line in bytes.
var signatureSize = len(signatureLine) + 1 + encoding64.EncodedLen(keys.SignatureSize) + 1

// appendSignature appends the last line of a signed document: the signature
// over all before that line.
func appendSignature(doc []byte, c keys.Context, k *keys.SigningKey) []byte {
	sig := k.Sign(c, doc)
	w := &writer{b: doc}
	w.keyword(signatureLine).binary(sig[:]).end()
	return w.b
}

// verifySignature checks the last line of doc, which r reads, and takes it off
// what r has left to read.
func (r *reader) verifySignature(doc []byte, c keys.Context, key keys.SigningPublic) error {
	if len(r.rest) < signatureSize {
		return fmt.Errorf("%w: no signature", ErrMalformed)
	}
	text, last := doc[:len(doc)-signatureSize], r.rest[len(r.rest)-signatureSize:]
	encoded, ok := strings.CutPrefix(last, signatureLine+" ")
	if !ok || encoded[len(encoded)-1] != '\n' || text[len(text)-1] != '\n' {
		return fmt.Errorf("%w: no signature", ErrMalformed)
	}
	var sig [keys.SignatureSize]byte
	if err := decode64(sig[:], encoded[:len(encoded)-1]); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if err := keys.Verify(key, c, text, sig[:]); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	r.rest = r.rest[:len(r.rest)-signatureSize]
	return nil
}
