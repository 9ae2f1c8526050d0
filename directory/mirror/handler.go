package mirror

import (
	"net/http"

	"tunic/directory"
	"tunic/directory/keys"
)

// A Source has the documents that a Handler serves.
type Source interface {
	// Current returns the bundle to serve, nil if there is none. *Cache has it.
	Current() *directory.Bundle
}

// Descriptors is what a Source may have beside: relays' descriptors.
type Descriptors interface {
	// Descriptor returns the newest descriptor of a relay, nil if there is none.
	Descriptor(id keys.RelayID) []byte
}

// HandlerConfig is what a Handler needs.
type HandlerConfig struct {
	Source Source
	Rate   int64 // bytes/s of answers to strangers and relays together; 0: no limit
}

// A Handler serves the consensus, and descriptors where its Source has them.
type Handler struct{}

// NewHandler returns a handler.
func NewHandler(c HandlerConfig) *Handler { panic("unwritten") }

// SetRate changes the rate of answers.
func (h *Handler) SetRate(bytesPerSecond int64) { panic("unwritten") }

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { panic("unwritten") }

// Reply answers r with a document, in pieces with a deadline each, packed with
// zstd when packed is not nil and the client takes it; counted against the rate
// of the peer's class: beyond it the answer is 503. It is for handlers, such as
// an authority's, that serve more than this one.
func (h *Handler) Reply(w http.ResponseWriter, r *http.Request, doc, packed []byte) {
	panic("unwritten")
}

// Pack returns doc packed with zstd.
func Pack(doc []byte) []byte { panic("unwritten") }

// ReadBody reads the body of a request, of at most limit bytes; the read stops
// at the byte after, with directory.ErrTooLarge.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	panic("unwritten")
}
