package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Pack returns doc packed with zstd.
func Pack(doc []byte) []byte {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow),
		zstd.WithSingleSegment(false), zstd.WithLowerEncoderMem(true))
	if err != nil { // options that are constant
		panic("mirror: " + err.Error())
	}
	defer e.Close()
	return e.EncodeAll(doc, make([]byte, 0, len(doc)/2))
}

// unpack reads what Pack made, of at most limit bytes unpacked. It needs memory
// for the window and for what has come out, whatever the input says.
func unpack(r io.Reader, limit int64) ([]byte, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(uint64(max(limit, maxWindow))))
	if err != nil {
		return nil, fmt.Errorf("%w: packing: %w", ErrAnswer, err)
	}
	defer d.Close()
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(d, limit+1))
	switch {
	case n > limit, errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return nil, fmt.Errorf("%w: more than %d bytes unpacked", ErrTooLarge, limit)
	case err != nil:
		return nil, fmt.Errorf("%w: packing: %w", ErrAnswer, err)
	}
	return b.Bytes(), nil
}
