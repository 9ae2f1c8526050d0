package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tunic/cmd/localnet"
	"tunic/cmd/node"
)

// TestEndToEndOperator does to the nodes of a network of processes what
// operators do, and looks at what users notice.
func TestEndToEndOperator(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network of processes")
	}
	ns := startResolvers(t, 4)
	o := &operator{hold: make(chan struct{}), net: startNetwork(t, localnet.Plan{Dir: filepath.Join(t.TempDir(), "net"),
		Authorities: 3, Relays: 4, Exits: 2, Clients: 1, LogLevel: "debug", Resolvers: ns.plan()})}
	o.serve(t)
	t.Run("failures have their SOCKS codes", o.codes)
	t.Run("logs name no destination and no client", o.logs)
	t.Run("SIGHUP changes the bandwidth", o.bandwidth)
	t.Run("SIGHUP changes the exit policy", o.policy)
	t.Run("SIGTERM ends streams and the process", o.term)
	t.Run("two authorities of three serve a new client", o.newClient)
}

type operator struct {
	net  *localnet.Network
	site string // http://127.0.0.1:port
	hold chan struct{}
}

// serve starts a web site on loopback.
func (o *operator) serve(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /mib", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<20)) })
	mux.HandleFunc("GET /hold", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun")
		w.(http.Flusher).Flush()
		o.hold <- struct{}{}
		<-r.Context().Done()
	})
	srv := &http.Server{Handler: mux}
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(ln) })
	t.Cleanup(func() { srv.Close(); wg.Wait() })
	o.site = "http://" + ln.Addr().String()
}

// curl returns what curl prints on standard output and error.
func (o *operator) curl(t *testing.T, args ...string) (out, diagnosis string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), need(t, "curl"), append([]string{"--silent", "--show-error", "--max-time", "20", "--proxy", "socks5h://" + o.net.Node("client1").Socks}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

func (o *operator) codes(t *testing.T) {
	_, port, _ := strings.Cut(strings.TrimPrefix(o.site, "http://"), ":")
	for url, code := range map[string]string{
		"http://127.0.0.1:" + freePort(t) + "/": "(5)", // connection refused
		"http://surely.nowhere.example/":        "(4)", // host unreachable: there is no such name
	} {
		if _, said, err := o.curl(t, url); err == nil || !strings.Contains(said, code) {
			t.Errorf("%s: %v: %q, want code %s", url, err, said, code)
		}
	}
	for _, host := range []string{"127.0.0.1", "localhost", "www.localhost", "found.example"} {
		if out, said, err := o.curl(t, "http://"+host+":"+port+"/mib"); err != nil || len(out) != 1<<20 {
			t.Errorf("%s: %d bytes, %v: %s", host, len(out), err, said)
		}
	}
}

// logs looks through what all nodes have logged so far, in all detail.
func (o *operator) logs(t *testing.T) {
	_, port, _ := strings.Cut(strings.TrimPrefix(o.site, "http://"), ":")
	secrets := []string{port, "nowhere", "found", "localhost"}
	for _, nd := range o.net.Nodes {
		b, err := os.ReadFile(nd.Log())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(b, []byte("level=DEBUG")) && nd.Role != localnet.Client {
			t.Errorf("%s logs no details: this test sees nothing", nd.Name)
		}
		for line := range strings.Lines(string(b)) {
			for _, s := range secrets {
				if strings.Contains(line, s) {
					t.Errorf("%s logs %q: %s", nd.Name, s, line)
				}
			}
			// Clients come from 127.0.0.1, where only the client's own proxy listens.
			if nd.Role != localnet.Client && strings.Contains(line, "127.0.0.1:") {
				t.Errorf("%s logs an address of clients: %s", nd.Name, line)
			}
		}
	}
}

// reconfigure replaces text in a node's configuration file and sends SIGHUP.
func (o *operator) reconfigure(t *testing.T, name, with string) {
	t.Helper()
	nd := o.net.Node(name)
	b, err := os.ReadFile(nd.Config())
	if err != nil {
		t.Fatal(err)
	}
	key, _, _ := strings.Cut(with, " ")
	var kept []string
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, key+" ") {
			kept = append(kept, line)
		}
	}
	if err := os.WriteFile(nd.Config(), []byte(with+"\n"+strings.Join(kept, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	before := strings.Count(readLog(t, nd), "configuration reloaded")
	p, err := os.FindProcess(nd.PID)
	if err == nil {
		err = p.Signal(syscall.SIGHUP)
	}
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); strings.Count(readLog(t, nd), "configuration reloaded") == before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s does not say that it has reloaded: %s", name, readLog(t, nd))
		}
	}
}

func readLog(t *testing.T, nd *localnet.Node) string {
	t.Helper()
	b, err := os.ReadFile(nd.Log())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// guard returns the relay that the client's circuits begin at.
func (o *operator) guard(t *testing.T) string {
	t.Helper()
	s, err := node.Ask(t.Context(), o.net.Node("client1").State())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Client.Circuits {
		if len(c.Hops) == 3 {
			return c.Hops[0].Nickname
		}
	}
	t.Fatal("the client has no circuit of three hops")
	return ""
}

func (o *operator) bandwidth(t *testing.T) {
	guard := o.guard(t)
	took := func() time.Duration {
		began := time.Now()
		if out, said, err := o.curl(t, o.site+"/mib"); err != nil || len(out) != 1<<20 {
			t.Fatalf("%d bytes, %v: %s", len(out), err, said)
		}
		return time.Since(began)
	}
	free := took()
	// A burst of 0.4 MB passes at once, the other 0.65 MB and what cells and
	// records add take 1.6 s and more.
	o.reconfigure(t, guard, "bandwidth_rate = 400_000")
	limited := took()
	if limited < time.Second {
		t.Errorf("1 MiB takes %v through a guard of 400 kB/s; without a limit %v", limited, free)
	}
	o.reconfigure(t, guard, "bandwidth_rate = 0")
	again := took()
	for range 4 { // other work may delay one fetch; a limit would delay each
		again = min(again, took())
	}
	if again > limited/2 {
		t.Errorf("1 MiB takes %v after the limit of 400 kB/s was lifted, %v with it", again, limited)
	}
}

// policy has both exits refuse the site alone. The ports that the consensus lists
// stay as they are: where the last of the short rounds catches one exit with fewer,
// the client does without that exit for the whole period that follows.
func (o *operator) policy(t *testing.T) {
	site := strings.TrimPrefix(o.site, "http://")
	for _, exit := range []string{"relay3", "relay4"} {
		o.reconfigure(t, exit, fmt.Sprintf(`exit_policy = ["reject %s", "accept *:*"]`, site))
	}
	if _, said, err := o.curl(t, o.site+"/mib"); err == nil || !strings.Contains(said, "(2)") {
		t.Errorf("a destination that the policy refuses: %v: %s", err, said)
	}
	for _, exit := range []string{"relay3", "relay4"} {
		o.reconfigure(t, exit, `exit_policy = ["accept *:*"]`)
	}
	if _, said, err := o.curl(t, o.site+"/mib"); err != nil {
		t.Errorf("after the policy is back: %v: %s", err, said)
	}
}

// term stops the exit of a stream that is open.
func (o *operator) term(t *testing.T) {
	ended := make(chan error, 1)
	go func() {
		out, said, err := o.curl(t, "--proxy-user", "term:x", o.site+"/hold")
		if out != "begun" {
			err = errors.Join(err, fmt.Errorf("the answer is %q: %s", out, said))
		}
		ended <- err
	}()
	select {
	case <-o.hold:
	case err := <-ended:
		t.Fatal(err)
	}
	exit := ""
	s, err := node.Ask(t.Context(), o.net.Node("client1").State())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Client.Circuits {
		if c.Streams > 0 && len(c.Hops) == 3 {
			exit = c.Hops[2].Nickname
		}
	}
	nd := o.net.Node(exit)
	if nd == nil {
		t.Fatalf("no circuit carries the stream: %+v", s.Client.Circuits)
	}
	if peers, destinations := shown(t, o.net); peers+destinations > 0 {
		t.Errorf("relays that were not asked to show %d peers and %d destinations in their status", peers, destinations)
	}
	began := time.Now()
	p, err := os.FindProcess(nd.PID)
	if err == nil {
		err = p.Signal(syscall.SIGTERM)
	}
	if err != nil {
		t.Fatal(err)
	}
	if exit, ok := errors.AsType[*exec.ExitError](<-ended); !ok || exit.ExitCode() == 28 { // 28: curl's own timeout
		t.Errorf("curl ends with %v", exit)
	}
	(&launched{dir: nd.Config()}).leavesNoProcess(t)
	if took := time.Since(began); took > patience/2 {
		t.Errorf("stopping took %v", took)
	}
	if _, said, err := o.curl(t, o.site+"/mib"); err != nil {
		t.Errorf("by the other exit: %v: %s", err, said)
	}
}

// shown counts the addresses in the status of a network's relays: of neighbours in
// circuits, and of destinations.
func shown(t *testing.T, n *localnet.Network) (peers, destinations int) {
	t.Helper()
	for _, nd := range n.Nodes {
		if nd.Role == localnet.Relay {
			s, err := node.Ask(t.Context(), nd.State())
			if err != nil {
				t.Fatal(err)
			}
			peers, destinations = peers+len(s.Relay.Peers), destinations+len(s.Relay.Destinations)
		}
	}
	return peers, destinations
}

// newClient kills an authority and starts a client that has nothing yet.
func (o *operator) newClient(t *testing.T) {
	if err := o.net.Kill("auth2"); err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	c := startProgram(t, "client", "--network", filepath.Join(o.net.Plan.Dir, "network.toml"), "--state", state, "--socks", "127.0.0.1:0", "--events",
		"--log-format", "json", "--log-level", "debug")
	c.until(t, `"ready":true`)
	s, err := node.Ask(t.Context(), state)
	if err != nil || s.Client.Percent != 100 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if out, status := c.end(t); status != 0 {
		t.Errorf("the client ends with status %d: %s%s", status, out, c.stderr.String())
	}
	checkJSON(t, c.stderr.String())
}

// checkJSON checks that each line of a log is a JSON object that says when, how
// grave and what.
func checkJSON(t *testing.T, log string) {
	t.Helper()
	if log == "" {
		t.Error("nothing was logged")
	}
	for line := range strings.Lines(log) {
		var entry struct {
			Time  time.Time  `json:"time"`
			Level slog.Level `json:"level"`
			Msg   string     `json:"msg"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time.IsZero() || entry.Msg == "" {
			t.Errorf("a line of the log is %q: %v", line, err)
		}
	}
}
