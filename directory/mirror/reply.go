package mirror

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tunic/directory"
)

const ( // our choice
	piece       = 64 << 10         // bytes that a deadline is given for
	replyTime   = time.Minute      // from the end of a request to a short answer's end
	slowest     = 48 << 10         // bytes/s that a peer must take or bring in all
	answerGrace = 30 * time.Second // beside that, for what does not depend on length
)

// deadline returns when a transfer of n bytes that began at start must have
// ended, whatever moves meanwhile.
func deadline(start time.Time, n int64) time.Time {
	return start.Add(answerGrace + time.Duration(n)*time.Second/slowest)
}

// earlier returns the earlier of the two: the next piece's deadline.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// plain sets the headers that all answers of n bytes have.
func plain(w http.ResponseWriter, n int) {
	h := w.Header()
	h["Date"] = nil // links say the time
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(n))
}

// Refuse answers with a status and a line that says why.
func Refuse(w http.ResponseWriter, status int, reason string) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(stallTimeout)) // a test's recorder has none
	plain(w, len(reason)+1)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, reason+"\n") // nobody is left to tell of a failure
}

// Busy answers that the client should come again after a while.
func Busy(w http.ResponseWriter, wait time.Duration) {
	seconds := int(math.Ceil(min(max(wait, time.Second), maxRetry).Seconds()))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	Refuse(w, http.StatusServiceUnavailable, "busy")
}

// Reply answers r with a document, in pieces with a deadline each, packed with
// zstd when packed is not nil and the client takes it; counted against the rate
// of the peer's class: beyond it the answer is 503. It is for handlers, such as
// an authority's, that serve more than this one.
func (h *Handler) Reply(w http.ResponseWriter, r *http.Request, doc, packed []byte) {
	body, usePacked := doc, packed != nil && acceptsPacked(r)
	if usePacked {
		body = packed
	}
	if wait, ok := h.pay(r, len(body)); !ok {
		Busy(w, wait)
		return
	}
	plain(w, len(body))
	w.Header().Set("Vary", "Accept-Encoding")
	if usePacked {
		w.Header().Set("Content-Encoding", packing)
	}
	send(w, body)
}

// pay pays for an answer of n bytes.
func (h *Handler) pay(r *http.Request, n int) (wait time.Duration, ok bool) {
	_, class := PeerFrom(r.Context())
	ok = true
	for _, b := range h.bucketsOf(class) {
		if wait, ok = b.take(time.Now(), n+headerCost); ok {
			return 0, true
		}
	}
	return wait, ok
}

const headerCost = 256 // our choice: bytes that an answer counts beside its body

func acceptsPacked(r *http.Request) bool {
	for _, v := range r.Header.Values("Accept-Encoding") {
		for name := range strings.SplitSeq(v, ",") {
			if strings.TrimSpace(name) == packing {
				return true
			}
		}
	}
	return false
}

// send writes a body piece by piece, so that a client that takes none of it
// holds the stream for half a minute and no longer.
func send(w http.ResponseWriter, body []byte) {
	c := http.NewResponseController(w)
	last := deadline(time.Now(), int64(len(body)))
	for len(body) > 0 {
		_ = c.SetWriteDeadline(earlier(last, time.Now().Add(stallTimeout))) // a test's recorder has none
		n, err := w.Write(body[:min(len(body), piece)])
		if err != nil {
			return // the client is gone
		}
		body = body[n:]
	}
}

// ReadBody reads the body of a request, of at most limit bytes, with deadlines
// as for answers. The read stops at the byte after, with directory.ErrTooLarge.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, fmt.Errorf("body of %d bytes: %w", r.ContentLength, directory.ErrTooLarge)
	}
	c := http.NewResponseController(w)
	last := deadline(time.Now(), limit)
	in := http.MaxBytesReader(w, r.Body, limit)
	b := make([]byte, 0, min(limit, max(r.ContentLength, 512), piece))
	for {
		_ = c.SetReadDeadline(earlier(last, time.Now().Add(stallTimeout)))
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := in.Read(b[len(b):min(cap(b), len(b)+piece)])
		b = b[:len(b)+n]
		if err == io.EOF {
			_ = c.SetReadDeadline(time.Time{}) // else it would end what the handler does next
			_ = c.SetWriteDeadline(time.Now().Add(replyTime))
			return b, nil
		}
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, fmt.Errorf("body of more than %d bytes: %w", tooLarge.Limit, directory.ErrTooLarge)
		}
		if err != nil {
			return nil, fmt.Errorf("read body: %w", err)
		}
	}
}
