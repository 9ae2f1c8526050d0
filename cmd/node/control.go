package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// controlName is the control socket's name in the state directory.
	controlName = "control.sock"
	// maxSocketPath is the longest path of a Unix socket that every system
	// takes, in bytes: sun_path has 104 on the BSDs and macOS, 108 on Linux.
	maxSocketPath = 103
	// controlTimeout bounds one question and its answer.
	controlTimeout = 5 * time.Second
	// maxControlAnswer bounds an answer, in bytes.
	maxControlAnswer = 256 << 20 // an authority's report on 50,000 relays
)

// ErrNotRunning says that no node answers at a state directory.
var ErrNotRunning = errors.New("no node is running there")

// errOtherRole is what an authority's operator is told who asks another node.
var errOtherRole = errors.New("the node that runs there knows no such question: is it an authority?")

// SocketPath returns where the control socket of the node with this state
// directory lies: in it, or where that path is too long, in a directory of
// runtimeDir whose name is made from it.
func SocketPath(state, runtimeDir string) (string, error) {
	abs, err := filepath.Abs(state)
	if err != nil {
		return "", err
	}
	if path := filepath.Join(abs, controlName); len(path) <= maxSocketPath {
		return path, nil
	}
	sum := sha256.Sum256([]byte(abs))
	path := filepath.Join(runtimeDir, "tunic-"+hex.EncodeToString(sum[:8]), controlName)
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("no short enough path for the control socket: %s has %d bytes, the limit is %d", path, len(path), maxSocketPath)
	}
	return path, nil
}

// RuntimeDir is where sockets go whose own directory has too long a path.
func RuntimeDir() string {
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		return d
	}
	return os.TempDir()
}

// A control answers questions on a node's control socket.
type control struct {
	path string
	own  string // the directory made for the socket alone; empty if it is the state directory
	http *http.Server
	done chan struct{} // closed when the server's goroutine ends
}

// serveControl answers GET /status with what status returns, POST /stop by
// calling stop, and what more adds, until close. Only the user who runs the node
// can open the socket.
func serveControl(state string, status func() Status, stop func(), more ...func(*http.ServeMux)) (*control, error) {
	path, err := SocketPath(state, RuntimeDir())
	if err != nil {
		return nil, err
	}
	own := ownDir(path, state)
	if own != "" {
		if err := makePrivate(own); err != nil {
			return nil, fmt.Errorf("control socket: %w", err)
		}
	}
	_ = os.Remove(path) // of a node that died; the state directory's lock says that we are alone
	ln, err := listenPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(status()) // an asker who left is no error of ours
	})
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		stop()
	})
	for _, add := range more {
		add(mux)
	}
	c := &control{path: path, own: own, done: make(chan struct{}), http: &http.Server{
		Handler: mux, ReadTimeout: controlTimeout, WriteTimeout: controlTimeout, MaxHeaderBytes: 4 << 10}}
	go func() { // ends with close
		defer close(c.done)
		_ = c.http.Serve(ln)
	}()
	return c, nil
}

func (c *control) close() {
	_ = c.http.Close()
	<-c.done
	_ = os.Remove(c.path)
	if c.own != "" {
		_ = os.Remove(c.own)
	}
}

// ownDir returns the directory of the socket where that is not the state
// directory.
func ownDir(socket, state string) string {
	if abs, err := filepath.Abs(state); err != nil || filepath.Dir(socket) == abs {
		return ""
	}
	return filepath.Dir(socket)
}

// makePrivate makes a directory where everybody may make one. What somebody
// else put in its place is refused.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() || !ours(info) {
		return fmt.Errorf("%s is not a directory of this user", dir)
	}
	return nil
}

// listenPrivate makes a Unix socket that only this user can open: its directory
// has mode 0700 from before the socket is there.
func listenPrivate(path string) (net.Listener, error) {
	if err := os.Chmod(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// ask sends one question, with a body if there is one, to the node with this
// state directory.
func ask(ctx context.Context, state, method, path string, body ...byte) ([]byte, error) {
	socket, err := SocketPath(state, RuntimeDir())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://control"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", state, unanswered(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return nil, refusal(resp)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxControlAnswer))
}

// unanswered is why nobody answers at a control socket: that of another user's node
// can't be opened, whether it runs or not.
func unanswered(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("only the user who runs the node can ask it: %w", err)
	}
	return errors.Join(ErrNotRunning, err)
}

// refusal is what a node answered that did not do what it was asked.
func refusal(resp *http.Response) error {
	why, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if text := strings.TrimSpace(string(why)); resp.StatusCode == http.StatusBadRequest && text != "" {
		return errors.New(text)
	}
	if resp.StatusCode == http.StatusNotFound {
		return errOtherRole
	}
	return fmt.Errorf("control socket answers %s", resp.Status)
}

// Ask asks the node with this state directory how it is.
func Ask(ctx context.Context, state string) (Status, error) {
	var s Status
	b, err := ask(ctx, state, http.MethodGet, "/status")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(b, &s)
}

// Stop tells the node with this state directory to stop, as SIGTERM does.
func Stop(ctx context.Context, state string) error {
	_, err := ask(ctx, state, http.MethodPost, "/stop")
	return err
}
