package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"tunic/cmd/localnet"
)

// barWidth is the length of the progress bar, in characters.
const barWidth = 24

// A Progress shows how far a network has come: one line that is written anew on
// a terminal, one line per step elsewhere.
type Progress struct {
	out      io.Writer
	terminal bool
	began    time.Time
	last     string
	shown    bool // an unfinished line stands on the terminal
}

// NewProgress returns a progress display that begins now.
func NewProgress(out io.Writer) *Progress {
	f, ok := out.(*os.File)
	return &Progress{out: out, terminal: ok && term.IsTerminal(int(f.Fd())), began: time.Now()}
}

// Report returns what turns the events of a network of that plan into steps:
// half of the way is the servers', the other half the clients', who wait for
// the first consensus.
func (p *Progress) Report(plan localnet.Plan) func(localnet.Report) {
	percent := map[*localnet.Node]int{}
	return func(r localnet.Report) {
		percent[r.Node] = max(percent[r.Node], r.Percent)
		servers, clients := 0, 0
		for n, v := range percent {
			if n.Role == localnet.Client {
				clients += v
			} else {
				servers += v
			}
		}
		done := servers / max(1, plan.Authorities+plan.Relays)
		if plan.Clients > 0 {
			done = (done + clients/plan.Clients) / 2
		}
		p.step(done, r.Node.Name+": "+r.Message)
	}
}

// step shows percent and what is going on.
func (p *Progress) step(percent int, what string) {
	percent = max(0, min(100, percent))
	if !p.terminal {
		if tenth := fmt.Sprint(percent / 20); tenth != p.last {
			p.last = tenth
			fmt.Fprintf(p.out, "  %3d %%  %s\n", percent, what)
		}
		return
	}
	full := barWidth * percent / 100
	fmt.Fprintf(p.out, "\r\x1b[K  [%s%s] %3d %%  %s", strings.Repeat("█", full), strings.Repeat("·", barWidth-full), percent, what)
	p.shown = true
}

// Line ends the progress line, if there is one, and writes a line of its own.
func (p *Progress) Line(format string, args ...any) {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}

// Since returns the time since the beginning, rounded for people.
func (p *Progress) Since() string { return round(time.Since(p.began)) }

// round writes a duration with two or three digits.
func round(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	default:
		return d.Round(100 * time.Microsecond).String()
	}
}
