package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"golang.org/x/net/proxy"
)

// A dialer opens connections through the network.
type dialer = proxy.ContextDialer

// newProxy returns a dialer by way of the SOCKS proxy at address, as one user:
// all its streams share a circuit while that lasts.
func newProxy(address string) (dialer, error) {
	d, err := proxy.SOCKS5("tcp", address, &proxy.Auth{User: "reader", Password: "demo"}, proxy.Direct)
	if err != nil {
		return nil, err
	}
	through, ok := d.(dialer)
	if !ok {
		return nil, errors.New("the SOCKS library dials without a context")
	}
	return plainDialer{through}, nil
}

// A plainDialer says in plain words what the proxy answered.
type plainDialer struct{ dialer }

func (d plainDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.dialer.DialContext(ctx, network, address)
	if op, ok := errors.AsType[*net.OpError](err); ok && strings.HasPrefix(op.Op, "socks") {
		return nil, fmt.Errorf("the network could not reach %s: %s", address, strings.TrimPrefix(op.Err.Error(), "unknown error "))
	}
	return conn, err
}

// hold opens a stream to what the tour fetches, and keeps it open until release
// is called: so that there is a circuit in use to look at, however soon the
// other side closes its connections.
func (t *tour) hold(ctx context.Context) (release func(), err error) {
	u, err := url.Parse(t.target())
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if u.Hostname() == "" || port == "" {
		return nil, fmt.Errorf("%s is no http or https URL", t.target())
	}
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	conn, err := t.proxy.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	return func() { conn.Close() }, nil
}
