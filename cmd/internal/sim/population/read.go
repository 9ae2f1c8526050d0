package population

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tunic/directory"
)

const day = 24 * time.Hour

// leastSynthetic is how many relays a synthetic network has at least: fewer are
// hardly a guard and an exit.
const leastSynthetic = 10

var (
	errNoGuard = errors.New("no relay is a guard")
	errNoExit  = errors.New("no relay is an exit")
)

const hourLayout = "2006-01-02 15:04:05"

// Read reads the population of a file: a table (.tsv.gz) with its facts in the
// .json beside it, or a consensus of this project. "synth:N" is a synthetic one
// of N relays. Ages come from older tables in the same directory where these
// tell, the rest is drawn.
func Read(name string, o Options) (*Population, error) {
	o = o.filled()
	if rest, ok := strings.CutPrefix(name, "synth:"); ok {
		n, err := strconv.Atoi(rest)
		if err != nil || n < leastSynthetic || n > directory.MaxRelays {
			return nil, fmt.Errorf("population %s: use synth:N for a number of relays of %d to %d", name, leastSynthetic, directory.MaxRelays)
		}
		p := Synthetic(n, o)
		return p, p.check()
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	p := &Population{Name: strings.TrimSuffix(filepath.Base(name), ".tsv.gz"), Digest: digest(b)}
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		err = p.fromTable(name, b, o)
	} else {
		err = p.fromConsensus(b)
	}
	if err != nil {
		return nil, fmt.Errorf("population %s: %w", name, err)
	}
	p.finish(o)
	return p, p.check()
}

// check refuses a network over which no circuit can be built: all its figures
// would be those of nothing.
func (p *Population) check() error {
	guards, exits := false, false
	for i := range p.Relays {
		guards = guards || p.Relays[i].Flags.Has(directory.Guard)
		exits = exits || !p.Relays[i].Ports.Empty()
	}
	switch {
	case !guards:
		return fmt.Errorf("population %s: %w", p.Name, errNoGuard)
	case !exits:
		return fmt.Errorf("population %s: %w", p.Name, errNoExit)
	}
	return nil
}

// fromTable takes the relays of a table, and what is beside it.
func (p *Population) fromTable(name string, b []byte, o Options) error {
	relays, prints, err := readTable(b)
	if err != nil {
		return err
	}
	at, err := hourOf(name)
	if err != nil {
		return err
	}
	p.Relays = relays
	p.Day = dayOf(at)
	siblings, err := older(name, at)
	if err != nil {
		return err
	}
	p.ages(prints, siblings, o)
	return nil
}

// dayOf counts days from 1970.
func dayOf(t time.Time) int { return int(t.Unix() / int64(day/time.Second)) }

// hourOf returns the hour of a table: from the facts beside it, else from a date
// in its name.
func hourOf(table string) (time.Time, error) {
	base := strings.TrimSuffix(table, ".tsv.gz")
	b, err := os.ReadFile(base + ".json")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if n := len(base); n >= 10 {
			if t, err := time.Parse(time.DateOnly, base[n-10:]); err == nil {
				return t, nil
			}
		}
		return time.Time{}, fmt.Errorf("%w: no %s.json that tells its hour, and no date in its name", ErrTable, filepath.Base(base))
	case err != nil:
		return time.Time{}, err
	}
	var facts struct {
		ValidAfter string `json:"valid-after"`
	}
	if err := json.Unmarshal(b, &facts); err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrTable, err)
	}
	t, err := time.Parse(hourLayout, facts.ValidAfter)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: valid-after", ErrTable)
	}
	return t, nil
}

// A sibling is an older table of the same network.
type sibling struct {
	day    int
	listed map[string]bool
}

// older reads the tables beside name that are older, the oldest first.
func older(name string, than time.Time) ([]sibling, error) {
	names, err := filepath.Glob(filepath.Join(filepath.Dir(name), "*.tsv.gz"))
	if err != nil {
		return nil, nil // a directory's name that is no pattern: no siblings
	}
	var all []sibling
	for _, other := range names {
		at, err := hourOf(other)
		if err != nil || !at.Before(than) {
			continue
		}
		b, err := os.ReadFile(other)
		if err != nil {
			return nil, err
		}
		_, prints, err := readTable(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(other), err)
		}
		s := sibling{day: dayOf(at), listed: make(map[string]bool, len(prints))}
		for _, f := range prints {
			s.listed[f] = true
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b sibling) int { return cmp.Compare(a.day, b.day) })
	return all, nil
}

// fromConsensus takes the relays of a consensus, with the ages and autonomous
// systems that it tells.
func (p *Population) fromConsensus(b []byte) error {
	if i := bytes.Index(b, []byte("\ntunic-consensus ")); i >= 0 { // behind its signatures, which prove nothing here
		b = b[i+1:]
	}
	c, err := directory.ParseConsensus(b)
	if err != nil {
		return err
	}
	p.Day = dayOf(c.ValidAfter)
	families := map[directory.Digest]int32{}
	for i := range c.Relays {
		r := &c.Relays[i]
		if !r.Flags.Has(directory.Running | directory.Valid) {
			continue
		}
		relay := Relay{ID: r.ID, Nickname: r.Nickname, Addrs: r.Addrs, Flags: r.Flags, V2Dir: true, Weight: r.Weight,
			Ports: r.Ports, Family: -1, AS: r.AS, Age: r.Age}
		if len(r.Family) > 0 {
			if _, known := families[r.Family[0]]; !known {
				families[r.Family[0]] = int32(len(families))
			}
			relay.Family = families[r.Family[0]]
		}
		p.Relays = append(p.Relays, relay)
	}
	if len(p.Relays) == 0 {
		return fmt.Errorf("%w: no running relay", ErrTable)
	}
	return nil
}

// finish sorts, and numbers families and providers.
func (p *Population) finish(o Options) {
	slices.SortFunc(p.Relays, func(a, b Relay) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	number := map[int32]int32{}
	for i := range p.Relays {
		r := &p.Relays[i]
		if r.Family < 0 {
			continue
		}
		if _, ok := number[r.Family]; !ok {
			number[r.Family] = int32(len(number))
		}
		r.Family = number[r.Family]
	}
	p.Families = len(number)
	p.providers(o)
}
