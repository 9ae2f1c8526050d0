package authority

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"path"
	"strconv"
	"time"

	"tunic/cell/work"
	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/mirror"
)

const retryAfter = 10 * time.Second // our choice: before relays that come too fast should come again

// handler answers the requests of relays, clients and other authorities.
type handler struct {
	a    *Authority
	peer func(*http.Request) (keys.RelayID, work.Class) // who sent it, as far as its link proved; zero for strangers
	mux  *http.ServeMux
}

// Handler returns what answers requests on directory streams: all that a mirror
// answers, and what only authorities do. peer is nil for what package mirror
// put into the request's context.
func (a *Authority) Handler(peer func(*http.Request) (keys.RelayID, work.Class)) http.Handler {
	if peer == nil {
		peer = func(r *http.Request) (keys.RelayID, work.Class) { return mirror.PeerFrom(r.Context()) }
	}
	h := &handler{a: a, peer: peer, mux: http.NewServeMux()}
	h.mux.HandleFunc("POST "+mirror.PathDescriptor, h.postDescriptor)
	h.mux.HandleFunc("POST "+pathTest, h.postTest)
	h.mux.HandleFunc("POST "+pathVote+"{period}", h.postVote)
	h.mux.HandleFunc("POST "+pathSignatures+"{period}", h.postSignatures)
	h.mux.HandleFunc("GET "+pathVotes+"{period}", h.getVotes)
	h.mux.HandleFunc("GET "+pathVote+"{period}/{author}/{digest}", h.getVote)
	h.mux.HandleFunc("GET "+pathSignatures+"{period}", h.getSignatures)
	h.mux.HandleFunc("GET "+pathDocument+"{period}/{digest}", h.getDocument)
	h.mux.HandleFunc("GET "+pathCheckpoint+"{place}", h.getCheckpoint)
	h.mux.Handle("/", a.docs)
	return h
}

// ServeHTTP answers one request. A path has one form.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery != "" || path.Clean(r.URL.Path) != r.URL.Path {
		refuse(w, errNotHere)
		return
	}
	w.Header()["Date"] = nil // links say the time
	h.mux.ServeHTTP(w, r)
}

// refuse answers with a status and a reason of one line, which holds nothing
// but what the sender knows.
func refuse(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if status == http.StatusServiceUnavailable {
		mirror.Busy(w, retryAfter)
		return
	}
	mirror.Refuse(w, status, err.Error())
}

// accept answers with a few lines.
func accept(w http.ResponseWriter, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = io.WriteString(w, text) // who hung up does not want it
}

var (
	errStranger  = errors.New("only authorities of this network may")
	errNotYours  = errors.New("only the relay itself may")
	errNotHere   = errors.New("no such document")
	errNoPeriod  = fmt.Errorf("not a period that this authority is at: %w", errNotHere)
	errManyTests = errors.New("too many tests at once")
)

// statusOf maps each error that a handler meets to the status of the answer:
// docs/protocol.md, "Requests to authorities".
func statusOf(err error) int {
	switch {
	case errors.Is(err, errStranger), errors.Is(err, errNotYours), errors.Is(err, errAuthority), errors.Is(err, directory.ErrUnknown):
		return http.StatusForbidden
	case errors.Is(err, errNotHere):
		return http.StatusNotFound
	case errors.Is(err, directory.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errTooFast), errors.Is(err, errFull), errors.Is(err, errManyTests):
		return http.StatusServiceUnavailable
	case isRefusal(err), errors.Is(err, errOlder),
		errors.Is(err, directory.ErrExpired), errors.Is(err, directory.ErrFuture), errors.Is(err, directory.ErrOtherPeriod):
		return http.StatusConflict
	}
	return http.StatusBadRequest
}

// authority returns who sent r, which must be another authority of the network.
func (h *handler) authority(r *http.Request) (keys.RelayID, error) {
	id, _ := h.peer(r)
	if h.a.network.Authority(id) == nil || id == h.a.self {
		return keys.RelayID{}, errStranger
	}
	return id, nil
}

// period returns the period that r's path names.
func (h *handler) period(r *http.Request) (*period, error) {
	validAfter, err := parsePeriod(r.PathValue("period"))
	if err != nil {
		return nil, err
	}
	if p := h.a.find(validAfter, time.Now()); p != nil {
		return p, nil
	}
	return nil, errNoPeriod
}

// postDescriptor takes a descriptor, and tells the relay at which address it
// was seen.
func (h *handler) postDescriptor(w http.ResponseWriter, r *http.Request) {
	raw, err := mirror.ReadBody(w, r, directory.MaxDescriptor)
	if err != nil {
		refuse(w, err)
		return
	}
	v, err := h.a.admit(raw, time.Now())
	if err != nil {
		refuse(w, err)
		return
	}
	text := "accepted\n"
	if v.known {
		text = "known\n"
	}
	accept(w, text+observed(r))
}

// observed returns the line that names the address that a request came from,
// as far as its link shows it.
func observed(r *http.Request) string {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || addr.Addr().IsUnspecified() {
		return ""
	}
	return "observed " + netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()).String() + "\n"
}

// postTest tries to reach the relay whose descriptor is sent, for that relay
// alone, and keeps nothing of it.
func (h *handler) postTest(w http.ResponseWriter, r *http.Request) {
	raw, err := mirror.ReadBody(w, r, directory.MaxDescriptor)
	if err != nil {
		refuse(w, err)
		return
	}
	d, err := directory.ParseDescriptor(raw, h.a.network, time.Now())
	if err != nil {
		refuse(w, err)
		return
	}
	if id, _ := h.peer(r); id != d.ID {
		refuse(w, errNotYours)
		return
	}
	select {
	case h.a.asked <- struct{}{}:
		defer func() { <-h.a.asked }()
	default:
		refuse(w, errManyTests)
		return
	}
	text := "not reached\n"
	if probeOf(d, h.a.own.Addrs).run(r.Context(), h.a.test, h.a.reg.cadence.limit()) {
		text = "reached\n"
	}
	accept(w, text+observed(r))
}

// postVote takes an envelope from another authority.
func (h *handler) postVote(w http.ResponseWriter, r *http.Request) {
	from, err := h.authority(r)
	if err != nil {
		refuse(w, err)
		return
	}
	p, err := h.period(r)
	if err != nil {
		refuse(w, err)
		return
	}
	doc, err := mirror.ReadBody(w, r, directory.MaxEnvelope)
	if err != nil {
		refuse(w, err)
		return
	}
	arrived := time.Now()
	env, err := directory.ParseEnvelope(doc, h.a.network)
	if err == nil {
		err = h.a.takeVote(p, from, env, arrived)
	}
	if err != nil {
		h.a.log.Info("vote refused", keyPeer, from, keyPeriod, p.round.ValidAfter, keyError, err)
		refuse(w, err)
		return
	}
	accept(w, "taken\n")
}

// postSignatures takes a signed checkpoint from another authority.
func (h *handler) postSignatures(w http.ResponseWriter, r *http.Request) {
	from, err := h.authority(r)
	if err != nil {
		refuse(w, err)
		return
	}
	p, err := h.period(r)
	if err != nil {
		refuse(w, err)
		return
	}
	doc, err := mirror.ReadBody(w, r, directory.MaxSignedCheckpoint)
	if err != nil {
		refuse(w, err)
		return
	}
	sc, err := directory.ParseSignedCheckpoint(doc)
	if err == nil {
		err = h.a.takeSignatures(p, from, sc)
	}
	if err != nil {
		h.a.log.Info("signatures refused", keyPeer, from, keyPeriod, p.round.ValidAfter, keyError, err)
		refuse(w, err)
		return
	}
	accept(w, "taken\n")
}

// reply sends a document, or says that it is not here.
func (h *handler) reply(w http.ResponseWriter, r *http.Request, doc []byte, err error) {
	switch {
	case err != nil:
		refuse(w, err)
	case len(doc) == 0:
		refuse(w, errNotHere)
	default:
		h.a.docs.Reply(w, r, doc, nil)
	}
}

// getVotes sends the envelopes of all votes that count here.
func (h *handler) getVotes(w http.ResponseWriter, r *http.Request) {
	p, err := h.period(r)
	if err != nil {
		refuse(w, err)
		return
	}
	h.a.mu.Lock()
	envs := p.agree.counted()
	h.a.mu.Unlock()
	doc, err := joinEnvelopes(envs)
	h.reply(w, r, doc, err)
}

// getVote sends one vote.
func (h *handler) getVote(w http.ResponseWriter, r *http.Request) {
	p, err := h.period(r)
	if err != nil {
		refuse(w, err)
		return
	}
	author, err := keys.ParseRelayID(r.PathValue("author"))
	if err != nil {
		refuse(w, errPath)
		return
	}
	digest, err := directory.ParseDigest(r.PathValue("digest"))
	if err != nil {
		refuse(w, errPath)
		return
	}
	h.a.mu.Lock()
	doc := p.agree.document(author, digest)
	h.a.mu.Unlock()
	h.reply(w, r, doc, nil)
}

// getSignatures sends the checkpoint that most signed here, with all signatures
// that are known.
func (h *handler) getSignatures(w http.ResponseWriter, r *http.Request) {
	p, err := h.period(r)
	if err != nil {
		refuse(w, err)
		return
	}
	h.a.mu.Lock()
	var doc []byte
	if st := p.sign.best(); st != nil {
		doc, err = st.signed.Encode()
	}
	h.a.mu.Unlock()
	h.reply(w, r, doc, err)
}

// getDocument sends a consensus that may not have a majority yet.
func (h *handler) getDocument(w http.ResponseWriter, r *http.Request) {
	p, err := h.period(r)
	if err != nil {
		refuse(w, err)
		return
	}
	digest, err := directory.ParseDigest(r.PathValue("digest"))
	if err != nil {
		refuse(w, errPath)
		return
	}
	h.a.mu.Lock()
	doc := p.sign.document(digest)
	h.a.mu.Unlock()
	h.reply(w, r, doc, nil)
}

// getCheckpoint sends a record of the log, with the signatures under it.
func (h *handler) getCheckpoint(w http.ResponseWriter, r *http.Request) {
	s := r.PathValue("place")
	place, err := strconv.ParseUint(s, 10, 40)
	if err != nil || strconv.FormatUint(place, 10) != s {
		refuse(w, errPath)
		return
	}
	doc, err := h.a.store.checkpoint(place)
	if err != nil {
		h.a.log.Error("checkpoint unreadable", keyError, err)
		err = errNotHere
	}
	h.reply(w, r, doc, err)
}
