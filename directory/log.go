package directory

import (
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// maxLogSize bounds the log, so that positions in it stay inside an int64.
const maxLogSize = 1 << 40

// A Log is a transparency log (RFC 6962) in the least form that appending to it
// needs: the hashes of its full subtrees. A record is the text of a checkpoint
// that a majority signed.
type Log struct {
	Size  int64
	Peaks []tlog.Hash // one for each bit that is set in Size, the largest subtree first
}

// valid reports whether there are as many peaks as Size needs.
func (l Log) valid() bool {
	return l.Size >= 0 && l.Size <= maxLogSize && len(l.Peaks) == bits.OnesCount64(uint64(l.Size))
}

// stored returns the peaks by the indexes that package tlog knows them by.
func (l Log) stored() map[int64]tlog.Hash {
	m := make(map[int64]tlog.Hash, len(l.Peaks)+1)
	lo := int64(0)
	for _, h := range l.Peaks {
		level := bits.Len64(uint64(l.Size-lo)) - 1
		m[tlog.StoredHashIndex(level, lo>>level)] = h
		lo += 1 << level
	}
	return m
}

func readFrom(m map[int64]tlog.Hash) tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			h, ok := m[x]
			if !ok {
				return nil, fmt.Errorf("%w: hash %d is not a peak", ErrMalformed, x)
			}
			hashes[i] = h
		}
		return hashes, nil
	}
}

// Root returns the root of the log.
func (l Log) Root() (tlog.Hash, error) {
	if !l.valid() {
		return tlog.Hash{}, fmt.Errorf("log of %d records with %d peaks: %w", l.Size, len(l.Peaks), ErrMalformed)
	}
	return tlog.TreeHash(l.Size, readFrom(l.stored()))
}

// Append returns the log with one more record.
func (l Log) Append(record []byte) (Log, error) {
	if !l.valid() || l.Size == maxLogSize {
		return Log{}, fmt.Errorf("log of %d records with %d peaks: %w", l.Size, len(l.Peaks), ErrMalformed)
	}
	// The new hashes are the record's and those of the subtrees that it fills,
	// each of which swallows a peak: the last hash is the new peak.
	hashes, err := tlog.StoredHashes(l.Size, record, readFrom(l.stored()))
	if err != nil {
		return Log{}, fmt.Errorf("append to log: %w", err)
	}
	left := l.Peaks[:len(l.Peaks)-(len(hashes)-1)]
	peaks := append(append([]tlog.Hash(nil), left...), hashes[len(hashes)-1])
	return Log{Size: l.Size + 1, Peaks: peaks}, nil
}
