package onion

import "crypto/subtle"

// end is where the room behind a body ends.
const end = BodySize + Room

// begin returns body with the room behind it, and whether s has keys. If not, it
// has cleared the body.
func (s *State) begin(body []byte) (b []byte, ok bool) {
	if len(body) != BodySize {
		panic("onion: body of another length")
	}
	b = body[:end]
	if !s.live {
		clear(b)
		return nil, false
	}
	if s.objects == nil {
		s.objects = newObjects(&s.kb, &s.ks)
	}
	return b, true
}

// encrypt is ENC. It returns what update needs: the stream's bytes behind those
// that masked the message.
func (s *State) encrypt(ad byte, b []byte) (next [16]byte) {
	tag := [TagSize]byte(b)
	s.cipherTag(ad, b, &tag, s.objects.block.Encrypt)
	return s.mask(b)
}

// decrypt is DEC; next is as for encrypt.
func (s *State) decrypt(ad byte, b []byte) (next [16]byte) {
	tag := [TagSize]byte(b)
	next = s.mask(b)
	s.cipherTag(ad, b, &tag, s.objects.block.Decrypt)
	return next
}

// cipherTag puts the block cipher's image of tag, under the tweak of the command,
// T' and the message in b, in the tag's place.
func (s *State) cipherTag(ad byte, b []byte, tag *[TagSize]byte, aes func(dst, src []byte)) {
	nonce, hash := b[BodySize:BodySize+16], b[BodySize+16:end]
	copy(b, s.chain[:])
	clear(nonce)
	nonce[0] = ad
	s.objects.gcm.Seal(hash[:0], nonce, nil, b[:BodySize])

	y := b[:TagSize]
	subtle.XORBytes(y, tag[:], hash)
	aes(y, y)
	subtle.XORBytes(y, y, hash)
	clear(b[BodySize:])
}

// mask adds the stream of V, the tag that stands in b, to the message, and
// returns the 16 bytes of the stream that follow. It seals those 16 bytes more,
// because 512 are whole strides of GCM and 496 are not.
func (s *State) mask(b []byte) (next [16]byte) {
	clear(b[BodySize:])
	s.objects.gcm.Seal(b[TagSize:TagSize], b[:TagSize], b[TagSize:BodySize+16], nil)
	next = [16]byte(b[BodySize:])
	clear(b[BodySize:])
	return next
}
