package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// PartCommand is what a process is started with, after the program's name, that is
// to call [ServePart]; the part's name follows.
func PartCommand() []string { return []string{"bench", "part"} }

// The parts: what is measured in a process of its own.
const (
	relayPart   = "relay"
	networkPart = "network"
)

const ( // our choice
	partEnd      = 10 * time.Second // that a part has to end in before it is killed
	maxComplaint = 2 << 10          // bytes of a part's standard error that are shown when it fails
)

// ServePart is the other end of a part's pipe: it does what the part is for, answers
// each line of in after the first with the processor time so far, and returns when
// in ends. The first line configures it.
func ServePart(name string, in io.Reader, out io.Writer) error {
	d, e := json.NewDecoder(in), json.NewEncoder(out)
	var start func(*json.Decoder) (ready any, stop func() error, err error)
	switch name {
	case relayPart:
		start = startForwarder
	case networkPart:
		start = startNetwork
	default:
		return fmt.Errorf("no part %q", name)
	}
	ready, stop, err := start(d)
	if err != nil {
		return err
	}
	return errors.Join(answer(d, e, ready), stop())
}

// A question asks a part for its processor time.
type question struct{}

// An amount is the answer.
type amount struct {
	CPU time.Duration `json:"cpu"`
}

// answer says that the part is ready, then answers questions until they end.
func answer(d *json.Decoder, e *json.Encoder, ready any) error {
	if err := e.Encode(ready); err != nil {
		return err
	}
	for {
		var q question
		switch err := d.Decode(&q); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := e.Encode(amount{ownCPU()}); err != nil {
			return err
		}
	}
}

// A part is this end. It serves one goroutine.
type part struct {
	cmd       *exec.Cmd
	in        io.Closer
	ask       *json.Encoder
	answers   *json.Decoder
	complaint *tail // to be read when it has ended
	kill      context.CancelFunc
	ended     bool

	once sync.Once
	late *time.Timer // kills a part that has been told to quit
}

// startPart starts a part on that many cores, configures it, and waits until it is
// ready. The caller stops it.
func (r *run) startPart(ctx context.Context, name string, cores int, config, ready any) (*part, error) {
	program := r.Executable
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	p := &part{cmd: exec.CommandContext(life, program, append(PartCommand(), name)...), kill: kill, complaint: &tail{}}
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(cores))
	p.cmd.Stderr = p.complaint
	p.cmd.WaitDelay = partEnd
	in, err := p.cmd.StdinPipe()
	if err != nil {
		kill()
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		kill()
		return nil, fmt.Errorf("start a process: %w", err)
	}
	p.in, p.ask, p.answers = in, json.NewEncoder(in), json.NewDecoder(out)
	if err := p.exchange(ctx, config, ready); err != nil {
		return nil, err
	}
	return p, nil
}

// exchange sends a line and reads one. Where that fails, or ctx ends, the part is
// ended.
func (p *part) exchange(ctx context.Context, line, into any) error {
	defer context.AfterFunc(ctx, p.quit)()
	err := p.ask.Encode(line)
	if err == nil {
		err = p.answers.Decode(into)
	}
	if err == nil {
		return nil
	}
	if ended := p.stop(); ended != nil {
		err = ended
	}
	return fmt.Errorf("a process that is measured does not answer: %w", err)
}

// cpu returns the part's processor time so far.
func (p *part) cpu(ctx context.Context) (time.Duration, error) {
	var a amount
	err := p.exchange(ctx, question{}, &a)
	return a.CPU, err
}

// quit tells the part to end, which it does as soon as it is ready, and has it killed
// where it does not.
func (p *part) quit() {
	p.once.Do(func() {
		_ = p.in.Close() // it may have ended already
		p.late = time.AfterFunc(partEnd, p.kill)
	})
}

// stop ends the part and waits for it. Only the first call does something.
func (p *part) stop() error {
	if p.ended {
		return nil
	}
	p.ended = true
	defer p.kill()
	p.quit()
	defer p.late.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%w%s", err, p.complaint)
	}
	return nil
}

// A tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if n := len(t.b) - maxComplaint; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

// String returns it for the end of an error's text.
func (t *tail) String() string {
	if s := strings.TrimSpace(string(bytes.ToValidUTF8(t.b, nil))); s != "" {
		return "; it said: " + s
	}
	return ""
}
