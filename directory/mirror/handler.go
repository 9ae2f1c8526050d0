package mirror

import (
	"net/http"
	"strings"
	"sync"

	"tunic/cell/work"
	"tunic/directory"
	"tunic/directory/keys"
)

// A Source has the documents that a Handler serves. Its methods may be called
// at the same time.
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
// Answers to authorities are not limited; of the rate relays have a third to
// themselves and take part in the rest, which strangers have.
type Handler struct {
	source            Source
	relays, strangers bucket

	mu     sync.Mutex // guards what follows; held while a bundle is packed
	bundle *directory.Bundle
	packed []byte // bundle, packed
}

// NewHandler returns a handler.
func NewHandler(c HandlerConfig) *Handler {
	h := &Handler{source: c.Source}
	h.SetRate(c.Rate)
	return h
}

// SetRate changes the rate of answers.
func (h *Handler) SetRate(bytesPerSecond int64) {
	h.relays.setRate(float64(bytesPerSecond) / 3)
	h.strangers.setRate(float64(bytesPerSecond) * 2 / 3)
}

// bucketsOf returns the buckets that may pay for an answer.
func (h *Handler) bucketsOf(c work.Class) []*bucket {
	switch c {
	case work.Authority:
		return nil
	case work.Relay:
		return []*bucket{&h.relays, &h.strangers}
	}
	return []*bucket{&h.strangers}
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, ofRelay := strings.CutPrefix(r.URL.Path, PathOf)
	switch {
	case r.URL.Path != PathConsensus && !ofRelay || r.URL.RawQuery != "":
		Refuse(w, http.StatusNotFound, "no such document")
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		Refuse(w, http.StatusMethodNotAllowed, "only GET is known here")
	case ofRelay:
		h.serveDescriptor(w, r, id)
	default:
		h.serveConsensus(w, r)
	}
}

func (h *Handler) serveConsensus(w http.ResponseWriter, r *http.Request) {
	b := h.source.Current()
	if b == nil {
		Refuse(w, http.StatusNotFound, "no consensus yet")
		return
	}
	at, _, ok := parseHave(r.Header.Get(headerHave))
	if ok && !b.Consensus.ValidAfter.After(at) {
		plain(w, 0)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Reply(w, r, b.Raw(), h.pack(b))
}

// pack packs a bundle, once.
func (h *Handler) pack(b *directory.Bundle) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bundle != b {
		h.bundle, h.packed = b, Pack(b.Raw())
	}
	return h.packed
}

func (h *Handler) serveDescriptor(w http.ResponseWriter, r *http.Request, name string) {
	id, err := keys.ParseRelayID(name)
	source, ok := h.source.(Descriptors)
	if err != nil || !ok {
		Refuse(w, http.StatusNotFound, "no such document")
		return
	}
	doc := source.Descriptor(id)
	if doc == nil {
		Refuse(w, http.StatusNotFound, "no such descriptor")
		return
	}
	h.Reply(w, r, doc, nil)
}
