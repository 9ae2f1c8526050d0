package bench

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// A progress shows what runs: one line of a terminal that is written anew for each
// step. Elsewhere it shows nothing.
type progress struct {
	out    io.Writer // nil: nobody looks
	at, of int
	left   time.Duration // by what the steps that remain should take
}

func newProgress(out io.Writer, steps [][]step) *progress {
	p := &progress{}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.out = out
	}
	for _, part := range steps {
		for _, s := range part {
			p.of++
			p.left += s.lasts
		}
	}
	return p
}

// begin shows the next step.
func (p *progress) begin(measurement string, s step) {
	p.at++
	if p.out != nil {
		fmt.Fprintf(p.out, "\r\x1b[K%s", p.line(measurement, s))
	}
}

// line is what is shown of a step.
func (p *progress) line(measurement string, s step) string {
	return fmt.Sprintf("[%d/%d] %s: %s (about %v left)", p.at, p.of, measurement, s.what, p.left.Round(time.Second))
}

func (p *progress) done(s step) { p.left -= s.lasts }

// end takes the line away.
func (p *progress) end() {
	if p.out != nil && p.at > 0 {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
