package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// maxBytes bounds what /bytes answers, in bytes: our choice, enough to measure
// a fast network for some seconds.
const maxBytes = 1 << 30

// A site is a small web site on loopback, for want of the internet.
type site struct {
	url    string // http://127.0.0.1:port
	server *http.Server
	done   chan struct{}
}

func startSite() (*site, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("web site: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, page, host)
	})
	mux.HandleFunc("GET /bytes/{n}", serveBytes)
	s := &site{url: "http://" + ln.Addr().String(), done: make(chan struct{}),
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}}
	go func() { // ends with close
		defer close(s.done)
		_ = s.server.Serve(ln)
	}()
	return s, nil
}

func (s *site) close() {
	_ = s.server.Close()
	<-s.done
}

// serveBytes answers with n bytes.
func serveBytes(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil || n < 0 || n > maxBytes {
		http.Error(w, fmt.Sprintf("use /bytes/N with N up to %d", maxBytes), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	_, _ = io.CopyN(w, zeros{}, n) // who left early is no error here
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// page is the site's only page; it says where the request came from.
const page = `<!doctype html>
<meta charset="utf-8">
<title>tunic demo</title>
<h1>It works.</h1>
<p>This page came to you through three relays. All that its server saw of you
is the address of the last one: %s.</p>
`

// fetchLimit is how long a fetch may take before the demo calls it a failure.
const fetchLimit = 30 * time.Second

// fetch gets url through c and returns the body's length and how long it took.
func fetch(ctx context.Context, c *http.Client, url string) (n int64, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, 0, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	n, err = io.Copy(io.Discard, resp.Body)
	return n, time.Since(began), err
}
