package localnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// tryLimit bounds one request through a network that says it is ready.
const tryLimit = 20 * time.Second

// Try makes a request through the first client to a server on loopback, and
// says why it did not work. Without clients it does nothing.
func (n *Network) Try(ctx context.Context) error {
	for _, node := range n.Nodes {
		if node.Socks != "" {
			return try(ctx, node.Socks)
		}
	}
	return nil
}

func try(ctx context.Context, socks string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	const word = "through three relays"
	srv := &http.Server{ReadHeaderTimeout: tryLimit, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, word)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }() // ends with Close
	defer func() { srv.Close(); <-done }()

	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	proxy, err := url.Parse("socks5h://" + socks)
	if err != nil {
		return err
	}
	t := &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}
	defer t.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ln.Addr().String(), nil)
	if err != nil {
		return err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err == nil && string(b) != word {
		err = errors.New("another answer than was sent")
	}
	if err != nil {
		return fmt.Errorf("answer of %d bytes: %w", len(b), err)
	}
	return nil
}
