package onion

import (
	"crypto/aes"
	"crypto/cipher"
)

// The objects of one pair of keys. They never change: a renewal makes new ones.
type objects struct {
	block cipher.Block // KB
	gcm   cipher.AEAD  // KS, with nonces of 16 bytes
}

func newObjects(kb, ks *[16]byte) *objects {
	block, err := aes.NewCipher(kb[:])
	if err != nil {
		panic("onion: " + err.Error()) // 16 bytes are a key
	}
	ksBlock, err := aes.NewCipher(ks[:])
	if err != nil {
		panic("onion: " + err.Error())
	}
	gcm, err := cipher.NewGCMWithNonceSize(ksBlock, TagSize)
	if err != nil { // only in a process that GODEBUG=fips140=only restricts
		panic("onion: " + err.Error())
	}
	return &objects{block, gcm}
}
