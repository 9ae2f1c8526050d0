package authority

import (
	"fmt"
	"strings"
	"time"

	"tunic/directory"
)

// A Reason says why an authority gives a relay a flag, or doesn't.
type Reason struct {
	Flag string `json:"flag"`
	Has  bool   `json:"has"`
	Why  string `json:"why"`
}

// reasons explains what flags decides, flag by flag in the order of their names.
func (g *flagger) reasons(f *facts, e *directory.VoteEntry) (list []Reason) {
	for flag := directory.Flags(1); flag <= directory.AllFlags; flag <<= 1 {
		list = append(list, Reason{Flag: flag.String(), Has: e.Flags.Has(flag), Why: g.why(flag, f, e)})
	}
	return list
}

func (g *flagger) why(flag directory.Flags, f *facts, e *directory.VoteEntry) string {
	switch flag {
	case directory.Valid:
		if e.Refused != "" {
			return "refused: " + e.Refused
		}
		return "admitted"
	case directory.Running:
		return map[opinion]string{noOpinion: "not tested for long enough", down: "not reached lately", up: "reached lately"}[f.opinion]
	case directory.Exit:
		if f.exits {
			return "serves ports 80 and 443"
		}
		return "does not serve ports 80 and 443"
	}
	switch f.opinion {
	case noOpinion:
		return "not tested for long enough"
	case down:
		return "not Running"
	}
	return g.conditions(flag, f).explain()
}

// explain names the conditions that are not met, or all where all are.
func (c *conditions) explain() string {
	met := c.met()
	var parts []string
	for i := range c {
		if c[i].what == "" || !met && c[i].met() {
			continue
		}
		parts = append(parts, c[i].String())
	}
	return strings.Join(parts, "; ")
}

func (c condition) String() string {
	switch c.what {
	case ofBandwidth:
		return fmt.Sprintf("bandwidth %.0f kB/s, needs %.0f", c.have/1000, c.need/1000)
	case ofFraction:
		return fmt.Sprintf("up %.1f %% of the time, needs %.1f", 100*c.have, 100*c.need)
	case ofAge:
		return fmt.Sprintf("%.0f days served, needs %.0f", c.have, c.need)
	case ofFamiliar:
		return fmt.Sprintf("known for %v, needs %v", span(c.have), span(c.need))
	case ofRun:
		return fmt.Sprintf("up without failure for %v, needs %v", span(c.have), span(c.need))
	}
	return fmt.Sprintf("%v between failures, needs %v", span(c.have), span(c.need))
}

// span is a number of seconds for people.
func span(seconds float64) string {
	switch d := time.Duration(min(seconds, 1e9) * float64(time.Second)); {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= 2*time.Minute:
		return d.Round(time.Minute).String()
	default:
		return d.Round(time.Second).String()
	}
}
