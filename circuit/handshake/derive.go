package handshake

import (
	"crypto/hkdf"
	"crypto/sha256"

	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

const ( // fixed by docs/protocol.md, "Handshake with a hop": directions in labels
	outward = "\x01" // client to relay
	inward  = "\x02" // relay to client
)

// derive makes the keys of a hop's layers from the session's: each direction's
// from that direction's key.
func derive(out, in *hybrid.Cipher, hash *[32]byte, granted Extensions) *Result {
	r := &Result{Ext: granted}
	take(r.Outward[:], out.Export(keys.LabelLayer+outward+string(hash[:]), layerKeySize))
	take(r.Inward[:], in.Export(keys.LabelLayer+inward+string(hash[:]), layerKeySize))
	take(r.Binding[:], out.Export(keys.LabelBinding+string(hash[:]), bindingSize))
	return r
}

// take moves a secret to dst.
func take(dst, secret []byte) {
	copy(dst, secret)
	clear(secret)
}

// DirKeys makes the keys of a one-hop circuit for the directory from the random
// bytes of CREATE_DIR (x, the client's) and CREATED_DIR (y, the relay's) and the
// handshake hash of the link that carried both. The link keeps them secret.
func DirKeys(x, y *[32]byte, link [32]byte) *Result {
	var both [64]byte
	copy(both[:], x[:])
	copy(both[32:], y[:])
	defer clear(both[:])
	prk, err := hkdf.Extract(sha256.New, both[:], link[:])
	if err != nil {
		panic("handshake: " + err.Error()) // only for hashes that FIPS mode refuses
	}
	defer clear(prk)
	r := new(Result)
	take(r.Outward[:], expand(prk, keys.LabelDirectory+outward, layerKeySize))
	take(r.Inward[:], expand(prk, keys.LabelDirectory+inward, layerKeySize))
	take(r.Binding[:], expand(prk, keys.LabelBinding+string(link[:]), bindingSize))
	return r
}

func expand(prk []byte, info string, n int) []byte {
	out, err := hkdf.Expand(sha256.New, prk, info, n)
	if err != nil {
		panic("handshake: " + err.Error()) // only for an n over 255 hashes
	}
	return out
}
