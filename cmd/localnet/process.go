package localnet

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"tunic/cmd/node"
)

const ( // our choice
	killAfter   = 10 * time.Second // a node that was told to stop is killed then
	logTail     = 2 << 10          // bytes of a log shown when its node fails
	maxEvent    = 64 << 10         // bytes of one line of events
	eventBuffer = 64               // events waiting for a slow reader; older ones stay
)

// A process is a node that runs as a process of its own.
type process struct {
	node   *Node
	cmd    *exec.Cmd
	stdin  io.Closer // closing it ends the node; nil where the node outlives us
	exited chan struct{}
	err    error // of Wait; set before exited is closed

	ready chan struct{} // closed by watch
}

// A Report is an event of one node.
type Report struct {
	Node *Node
	node.Event
}

// launch starts the node by executable. The node ends with this process if tied
// is set, else it goes on without it.
func launch(executable string, n *Node, tied bool, reports chan<- Report) (*process, error) {
	log, err := os.OpenFile(n.Log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	args := []string{string(n.Role), "--config", n.Config(), "--events"}
	if tied {
		args = append(args, "--until-stdin-closes")
	}
	p := &process{node: n, cmd: exec.Command(executable, args...), exited: make(chan struct{}), ready: make(chan struct{})}
	p.cmd.Stderr = log
	detach(p.cmd)
	if tied {
		if p.stdin, err = p.cmd.StdinPipe(); err != nil {
			return nil, err
		}
	}
	events, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", n.Name, err)
	}
	n.PID = p.cmd.Process.Pid
	go p.watch(events, reports) // ends when the process does
	return p, nil
}

// watch passes the node's events on, then waits for its end.
func (p *process) watch(events io.Reader, reports chan<- Report) {
	defer close(p.exited)
	s := bufio.NewScanner(io.LimitReader(events, 16*maxEvent))
	s.Buffer(make([]byte, 0, 4<<10), maxEvent)
	for s.Scan() {
		var e node.Event
		if json.Unmarshal(s.Bytes(), &e) != nil {
			continue // a panic's text, say: it is in the log as well
		}
		if e.Socks != "" {
			p.node.Socks = e.Socks
		}
		if e.Ready {
			close(p.ready)
		}
		select {
		case reports <- Report{p.node, e}:
		default:
		}
		if e.Ready {
			break
		}
	}
	p.err = p.cmd.Wait()
}

// failure says why the process ended, with the end of its log.
func (p *process) failure() error {
	why := "ended"
	if p.err != nil {
		why = p.err.Error()
	}
	return fmt.Errorf("%s: %s; the end of its log:\n%s", p.node.Name, why, tail(p.node.Log()))
}

// tail returns the last lines of the file at path.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > logTail {
		_, _ = f.Seek(-logTail, io.SeekEnd)
	}
	b, err := io.ReadAll(io.LimitReader(f, logTail))
	if err != nil {
		return err.Error()
	}
	return strings.TrimRight(string(b), "\n")
}

// stop ends the node: politely, and after killAfter at once.
func (p *process) stop(ctx context.Context) error {
	if p.stdin != nil {
		p.stdin.Close()
	} else if err := node.Stop(ctx, p.node.State()); err != nil {
		_ = p.cmd.Process.Signal(os.Interrupt) // not listening yet; where there are no signals it is killed below
	}
	t := time.NewTimer(killAfter)
	defer t.Stop()
	select {
	case <-p.exited:
		return nil
	case <-t.C:
	case <-ctx.Done():
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
	return fmt.Errorf("%s did not stop within %v and was killed", p.node.Name, killAfter)
}
