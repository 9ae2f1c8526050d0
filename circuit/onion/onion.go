// Package onion is the layer cipher of one hop: Counter Galois Onion in tunic's
// profile. It knows no cells, circuits or messages: it turns a body of [BodySize]
// bytes into another, keeps the keys of one direction of one hop, and says
// whether a body was meant for that hop.
//
// A layer is a wide-block permutation of tag 16 ‖ message 496 whose tweak is the
// command and the tag T' of the cell before. Relays always encrypt and clients
// always decrypt, in both directions: whoever changes a cell, or its place among
// the others, turns it and all later ones to noise at the next honest hop. A body
// is recognised when its tag equals the nonce N that the two ends expect next;
// there is no other check, and none is needed.
//
//	ENC  h = UH(command, T' ‖ X)     Y' = h ⊕ AES(KB, tag ⊕ h)     Y = X ⊕ stream(Y')
//	DEC  X = Y ⊕ stream(tag)         h = UH(command, T' ‖ X)       X' = h ⊕ AES⁻¹(KB, tag ⊕ h)
//
// UH is the tag of AES-GCM under KS with the command, padded with zeros to 16
// bytes, as nonce and the 512 bytes as additional data; stream(V) is the key
// stream of AES-GCM under KS with V as nonce. After a cell that an end originates
// or recognises, bytes 496 to 511 of the cell's stream are the next N; after
// every 31st, bytes 512 to 543 are the next KB ‖ KS.
//
// Specification and the argument why this is sound: docs/protocol.md, "Layers".
package onion

import "crypto/subtle"

const ( // fixed by docs/protocol.md, "Layers"
	// BodySize is the length in bytes of what a layer covers.
	BodySize = TagSize + MessageSize
	// TagSize is the length in bytes of a tag and of a nonce.
	TagSize = 16
	// MessageSize is the length in bytes of a body without its tag.
	MessageSize = 496
	// KeySize is the length in bytes of the keys of one direction of one hop.
	KeySize = 3 * 16
	// RenewalInterval is how many cells an end originates or recognises with one
	// hop and in one direction before the keys change.
	RenewalInterval = 31
)

// Room is how many bytes behind a body an operation writes to: sealing in place
// needs them. They are zero afterwards.
const Room = 16 + 16 // the next nonce, GCM's tag

// A Key seeds one direction of one hop: KB 16 ‖ KS 16 ‖ N 16.
type Key [KeySize]byte

// A Tag is the first 16 bytes of a body, as an authenticated SENDME carries it.
type Tag [TagSize]byte

// A State is one direction of one hop, at the client or at the relay. Its methods
// must be called in the order of the cells on the wire, one at a time; it must
// not be copied once in use. Each method takes a body of exactly [BodySize]
// bytes with a capacity of at least BodySize + [Room], changes it in place and
// does not allocate, except on a renewal of the keys and on the first cell after
// [NewState] and [State.Sleep]. It panics on a body of another shape.
//
// ad is the command byte of the cell that carries the body. A body that is
// recognised nowhere must end the circuit.
//
// The zero State and a wiped one recognise nothing and clear each body.
type State struct {
	objects *objects // made from kb and ks when needed; nil while asleep
	kb, ks  [16]byte // keys of the block cipher; of hash and stream
	n       [16]byte // the nonce that marks the next cell as this hop's
	chain   [16]byte // T', the tag of the cell before
	count   uint8    // cells since the keys are in use, below RenewalInterval
	live    bool
}

// NewState returns the state that k seeds. The caller keeps k and wipes it.
func NewState(k *Key) State {
	return State{kb: [16]byte(k[0:]), ks: [16]byte(k[16:]), n: [16]byte(k[32:]), live: true}
}

// RelayOutward takes this relay's layer off a cell that comes from the client. If
// it is not recognised it is passed on as it then is. tag is as the cell arrived:
// the one for a SENDME.
func (s *State) RelayOutward(ad byte, body []byte) (recognised bool, tag Tag) {
	b, ok := s.begin(body)
	if !ok {
		return false, tag
	}
	tag = Tag(b[:TagSize])
	next := s.encrypt(ad, b)
	s.chain = [16]byte(b[:TagSize])
	recognised = s.expected(b)
	if recognised {
		s.update(s.chain, next)
	}
	return recognised, tag
}

// RelayInward adds this relay's layer to a cell that comes from further out.
func (s *State) RelayInward(ad byte, body []byte) {
	b, ok := s.begin(body)
	if !ok {
		return
	}
	s.encrypt(ad, b)
	s.chain = [16]byte(b[:TagSize])
}

// RelayOriginate seals a message of this relay for the client. What stands in
// the tag's place of body is overwritten. tag is the one for a SENDME.
func (s *State) RelayOriginate(ad byte, body []byte) (tag Tag) {
	b, ok := s.begin(body)
	if !ok {
		return tag
	}
	copy(b, s.n[:])
	next := s.encrypt(ad, b)
	s.chain = [16]byte(b[:TagSize])
	s.update(s.chain, next)
	return Tag(b[:TagSize])
}

// ClientOriginate seals a message of the client for this hop; the layers of the
// hops before it follow with [State.ClientOutward], the farthest first. What
// stands in the tag's place of body is overwritten. tag is the one for a SENDME.
func (s *State) ClientOriginate(ad byte, body []byte) (tag Tag) {
	b, ok := s.begin(body)
	if !ok {
		return tag
	}
	v := s.n
	copy(b, v[:])
	next := s.decrypt(ad, b)
	s.chain = v
	s.update(v, next)
	return Tag(b[:TagSize])
}

// ClientOutward adds the layer of this hop to a cell for a hop further out.
func (s *State) ClientOutward(ad byte, body []byte) {
	b, ok := s.begin(body)
	if !ok {
		return
	}
	v := [16]byte(b[:TagSize])
	s.decrypt(ad, b)
	s.chain = v
}

// ClientInward takes the layer of this hop off a cell that comes to the client;
// the client goes through its hops from 0 on until one recognises it. tag is as
// the cell arrived at this hop: the one for a SENDME.
func (s *State) ClientInward(ad byte, body []byte) (recognised bool, tag Tag) {
	b, ok := s.begin(body)
	if !ok {
		return false, tag
	}
	v := [16]byte(b[:TagSize])
	next := s.decrypt(ad, b)
	s.chain = v
	recognised = s.expected(b)
	if recognised {
		s.update(v, next)
	}
	return recognised, Tag(v)
}

// Sleep drops what can be made again from the keys, about 1.3 KB. The next cell
// makes it again.
func (s *State) Sleep() { s.objects = nil }

// Wipe overwrites the keys. The cipher objects are left to the garbage collector.
func (s *State) Wipe() { *s = State{} }

// expected reports whether the decrypted body b is meant for this hop.
func (s *State) expected(b []byte) bool {
	return subtle.ConstantTimeCompare(b[:TagSize], s.n[:]) == 1
}
