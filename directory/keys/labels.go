package keys

// All contexts of signatures and all labels of hashes and key derivations of
// the project, one purpose each; fixed by docs/protocol.md, "Labels". Of those
// with one use none is the beginning of another. Packages that may not import
// this one (cell/hybrid) hold a copy, which a test there compares.

// A Context separates the signatures of one purpose from those of all others:
// it is the context string of Ed25519ctx.
type Context string

const ( // contexts of signatures
	LabelCertSigning Context = "tunic 1 certificate: identity to signing key"
	LabelCertLink    Context = "tunic 1 certificate: signing key to link key"
	LabelCertCircuit Context = "tunic 1 certificate: signing key to circuit key"
	LabelCertNote    Context = "tunic 1 certificate: identity to note key"
	LabelCertFamily  Context = "tunic 1 certificate: family to relay"
	LabelCertVoucher Context = "tunic 1 certificate: family to newcomer"

	LabelLinkProof        Context = "tunic 1 link proof"       // over the handshake hash of a link
	LabelDescriptor       Context = "tunic 1 descriptor"       // by the relay's signing key
	LabelVote             Context = "tunic 1 vote"             // by the author's signing key
	LabelCountersignature Context = "tunic 1 countersignature" // network, period, author, vote digest
)

const ( // labels of hashes
	LabelCircuitKeyID = "tunic 1 circuit key id" // SHA-256
	LabelNetwork      = "tunic 1 network"        // SHA-256: the network digest of the prologues
	LabelHybridPSK    = "tunic 1 hybrid psk"     // SHA3-256; the copy is in cell/hybrid

	LabelKeepOrder     = "tunic 1 keep order"       // SHA-256, all that follow: ‖ random value ‖ identity
	LabelInferredGroup = "tunic 1 inferred group"   // ‖ the smallest identity in it: the group's name
	LabelLotteryNumber = "tunic 1 lottery number"   // an authority's number of a day
	LabelLotteryCommit = "tunic 1 lottery commit"   // what it publishes first of it
	LabelLotteryValue  = "tunic 1 lottery value"    // the shared random value of a day
	LabelLotteryNone   = "tunic 1 lottery fallback" // and that of a day when too few revealed
)

const ( // labels of HKDF-Expand; a direction or a hash follows where docs/protocol.md says so
	LabelLinkLength = "tunic link length v1"     // the key that hides the lengths of records
	LabelLayer      = "tunic layer v1"           // ‖ direction ‖ handshake hash: KB, KS, N
	LabelBinding    = "tunic circuit binding v1" // ‖ handshake hash
	LabelDirectory  = "tunic dir v1"             // ‖ direction: the layer of a CREATE_DIR circuit
)

const ( // first bytes of the prologues
	LabelLink = "tunic link"
	LabelHop  = "tunic hop"
)

// LinkPrologue returns the Noise prologue of a link: [LabelLink] ‖ handshake
// version ‖ network digest ‖ the responder's identity.
func LinkPrologue(version uint8, network [32]byte, responder RelayID) []byte {
	return prologue(LabelLink, version, &network, &responder, 0)
}

// HopPrologue returns the Noise prologue of the handshake with a hop:
// [LabelHop] ‖ handshake version ‖ network digest ‖ the relay's identity ‖ the
// circuit key's id.
func HopPrologue(version uint8, network [32]byte, relay RelayID, key CircuitKeyID) []byte {
	return append(prologue(LabelHop, version, &network, &relay, len(key)), key[:]...)
}

// prologue leaves room for more bytes behind it.
func prologue(label string, version uint8, network *[32]byte, id *RelayID, more int) []byte {
	b := make([]byte, 0, len(label)+1+len(network)+len(id)+more)
	b = append(b, label...)
	b = append(b, version)
	b = append(b, network[:]...)
	return append(b, id[:]...)
}
