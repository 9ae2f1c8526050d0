// Package demo is a guided tour of a private network on this machine: it starts
// one, fetches a page through three relays, shows what each of them could see,
// kills the middle one, fetches again, and measures a stream. It does nothing
// that a user could not do with the SOCKS proxy and the control sockets.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"tunic/cmd/localnet"
)

// Options say what the tour does.
type Options struct {
	Check  bool   // do not stay up
	NoSite bool   // no web site of its own: the user has somewhere to go
	URL    string // what to fetch instead of the site's page
	Socks  uint16 // the port wanted for the proxy
	Keep   string // directory that the network's files go to and stay in
	Out    io.Writer
}

const ( // our choice
	readyLimit = 90 * time.Second // for the network to start: on a machine that misses all initial rounds, the first period after them
	streamMiB  = 64               // fetched to measure one stream
)

// errInterrupted says that a check was stopped before its last step.
var errInterrupted = errors.New("interrupted")

// A tour is a demo under way.
type tour struct {
	Options
	*Progress
	net   *localnet.Network
	site  *site
	proxy dialer // through the network, as one user
	web   *http.Client
	ids   map[string]string // identities of the relays, by name
}

// Run runs the tour until ctx ends, or with o.Check until the last step. An
// error says which step failed.
func Run(ctx context.Context, o Options) (err error) {
	t := &tour{Options: o, Progress: NewProgress(o.Out)}
	defer func() { err = errors.Join(err, t.close(err == nil || errors.Is(err, errInterrupted))) }()
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"start the network", t.start},
		{"start the web site", t.openSite},
		{"fetch a page through three relays", t.firstFetch},
		{"kill the middle relay and fetch again", t.killMiddle},
		{"measure one stream", t.measure},
	}
	for _, s := range steps {
		if err := s.do(ctx); err != nil {
			switch {
			case ctx.Err() == nil:
			case o.Check:
				return fmt.Errorf("%s: %w", s.name, errInterrupted)
			default:
				return nil // the reader has seen enough
			}
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if !o.Check {
		t.stay(ctx)
	}
	return nil
}

// start starts the network and says when it is ready.
func (t *tour) start(ctx context.Context) error {
	dir := t.Keep
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "tunic-demo-"); err != nil {
			return err
		}
		defer func() {
			if t.net == nil {
				os.RemoveAll(dir)
			}
		}()
	} else if err := localnet.Clear(ctx, dir); err != nil {
		return err
	}
	plan := localnet.Plan{Dir: dir, Name: "demo", Authorities: 3, Relays: 7, Exits: 3, Clients: 1, Socks: t.port(), Addresses: true}
	t.Line("tunic demo: 3 authorities, 7 relays (3 of them exits) and a client, each a process of its own\n")
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	var err error
	if t.net, err = localnet.Start(ctx, plan, localnet.Options{Tied: true, Report: t.Report(plan)}); err != nil {
		return err
	}
	if t.proxy, err = newProxy(t.net.Node("client1").Socks); err != nil {
		return err
	}
	t.web = &http.Client{Transport: &http.Transport{DialContext: t.proxy.DialContext}}
	t.Line("  ready after %s, SOCKS proxy on %s", t.Since(), t.net.Node("client1").Socks)
	if t.net.File.SameSubnet {
		t.Line("  (only 127.0.0.1 answers on this system: all relays share it, and the rule of one relay per /16 is off)")
	}
	return nil
}

// port returns the wanted port of the proxy, or 0 for any where it is taken.
func (t *tour) port() uint16 {
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(t.Socks))))
	if err != nil {
		t.Line("port %d is taken; the SOCKS proxy takes another one", t.Socks)
		return 0
	}
	ln.Close()
	return t.Socks
}

func (t *tour) openSite(context.Context) (err error) {
	if !t.NoSite {
		t.site, err = startSite()
	}
	return err
}

// target is what the tour fetches, "" for nothing.
func (t *tour) target() string {
	if t.URL == "" && t.site != nil {
		return t.site.url + "/"
	}
	return t.URL
}

// firstFetch fetches the page and shows who could see what.
func (t *tour) firstFetch(ctx context.Context) error {
	if t.target() == "" {
		return nil
	}
	release, err := t.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	n, took, err := fetch(ctx, t.web, t.target())
	if err != nil {
		return err
	}
	t.Line("\nGET %s\n  %d bytes in %s through three relays", t.target(), n, round(took))
	return t.showSights(ctx)
}

// route holds a stream open and returns the route that it takes.
func (t *tour) route(ctx context.Context) (route, error) {
	release, err := t.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return t.path(ctx)
}

// killMiddle kills the middle relay of the circuit in use and fetches again.
func (t *tour) killMiddle(ctx context.Context) error {
	if t.target() == "" {
		return nil
	}
	before, err := t.route(ctx)
	if err != nil {
		return err
	}
	middle := before[1]
	began := time.Now()
	if err := t.net.Kill(middle.name); err != nil {
		return err
	}
	t.Line("\nkilled %s, the middle relay", middle.name)
	n, _, err := fetch(ctx, t.web, t.target())
	if err != nil {
		return err
	}
	took := time.Since(began)
	after, err := t.route(ctx)
	if err != nil {
		return err
	}
	if after.has(middle.name) {
		return fmt.Errorf("the new path %s goes through the dead %s", after, middle.name)
	}
	t.Line("  %d bytes again, %s after the kill, by %s", n, round(took), after)
	return nil
}

// measure times one stream.
func (t *tour) measure(ctx context.Context) error {
	if t.site == nil {
		return nil
	}
	n, took, err := fetch(ctx, t.web, fmt.Sprintf("%s/bytes/%d", t.site.url, streamMiB<<20))
	if err != nil {
		return err
	}
	if n != streamMiB<<20 {
		return fmt.Errorf("got %d of %d bytes", n, streamMiB<<20)
	}
	t.Line("\none stream: %d MiB in %s, %.0f MiB/s", streamMiB, round(took), streamMiB/took.Seconds())
	return nil
}

// stay keeps everything up until ctx ends.
func (t *tour) stay(ctx context.Context) {
	socks := t.net.Node("client1").Socks
	t.Line("\nYour turn: the proxy stays up until Ctrl-C.\n")
	if to := t.target(); to != "" {
		t.Line("  curl --proxy socks5h://%s %s", socks, to)
	} else {
		t.Line("  curl --proxy socks5h://%s https://example.org/", socks)
	}
	t.Line("  or set your browser's SOCKS5 proxy to %s, with remote DNS", socks)
	t.Line("  tunic status --state %s", t.net.Node("client1").State())
	<-ctx.Done()
	t.Line("\nstopping")
}

// close stops everything. The files of a tour that went well are removed,
// unless they are to be kept.
func (t *tour) close(ok bool) error {
	if t.web != nil {
		t.web.CloseIdleConnections()
	}
	if t.site != nil {
		t.site.close()
	}
	if t.net == nil {
		return nil
	}
	err := t.net.Stop(context.Background())
	switch {
	case t.Keep != "":
	case !ok:
		t.Line("logs are in %s", t.net.Plan.Dir)
	default:
		err = errors.Join(err, os.RemoveAll(t.net.Plan.Dir))
	}
	return err
}
