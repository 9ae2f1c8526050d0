//go:build !race

// One goroutine does all of this: there is nothing to race, and it would take
// ten times as long.

package detect_test

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/admission/detect"
	"tunic/directory/keys"
)

// population reads a table of real relays; it skips where there is none.
func population(t testing.TB, date string) []detect.Subject {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "..", "shared", "data", "consensus-"+date+".tsv.gz"))
	if err != nil {
		t.Skip("no population here")
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string][]string{}
	var list []detect.Subject
	var names []string
	s := bufio.NewScanner(z)
	s.Buffer(nil, 1<<20)
	for s.Scan(); s.Scan(); {
		c := strings.Split(s.Text(), "\t")
		port, _ := strconv.ParseUint(c[3], 10, 16)
		weight, _ := strconv.ParseUint(c[6], 10, 64)
		raw, _ := hex.DecodeString(c[0])
		list = append(list, detect.Subject{
			Relay:    admission.Relay{ID: sha256.Sum256(raw), Addrs: []netip.Addr{netip.MustParseAddr(c[2])}, Weight: weight},
			Nickname: c[1], Version: c[8], Policy: c[9], Port: uint16(port),
		})
		names = append(names, c[0])
		claims[c[0]] = strings.Split(c[10], ",")
	}
	if s.Err() != nil || len(list) < 7000 {
		t.Fatalf("%d relays: %v", len(list), s.Err())
	}
	for i, f := range families(names, claims) {
		if f != "" {
			list[i].Family = []directory.Digest{sha256.Sum256([]byte(f))}
		}
	}
	return list
}

// families names the family of each relay: that of its mutual claims, joined
// where they overlap; "" for none.
func families(names []string, claims map[string][]string) []string {
	head := map[string]string{}
	var find func(string) string
	find = func(a string) string {
		if h, ok := head[a]; ok && h != a {
			return find(h)
		}
		return a
	}
	has := map[string]bool{}
	for _, a := range names {
		for _, b := range claims[a] {
			if a != b && slices.Contains(claims[b], a) {
				has[a], has[b] = true, true
				if x, y := find(a), find(b); x != y {
					head[max(x, y)] = min(x, y)
				}
			}
		}
	}
	out := make([]string, len(names))
	for i, a := range names {
		if has[a] {
			out[i] = find(a)
		}
	}
	return out
}

// A history is the real arrivals and departures between two tables, with times
// drawn: relays of the first are founders; each hour's intensity is a gamma
// variate times its day's, so that counts are negative binomial; half of the
// families and /24s of which several arrive do so within one hour.
type history struct {
	begin, end time.Time
	subjects   []detect.Subject // Seen is set
	gone       map[keys.RelayID]time.Time
	fresh      map[keys.RelayID]bool
}

func honest(t testing.TB, seed uint64) *history {
	before, after := population(t, "2017-01-04"), population(t, "2017-03-10")
	rng := rand.New(rand.NewPCG(seed, 7))
	h := &history{
		begin: time.Date(2017, 1, 4, 21, 0, 0, 0, time.UTC), end: time.Date(2017, 3, 10, 10, 0, 0, 0, time.UTC),
		gone: map[keys.RelayID]time.Time{}, fresh: map[keys.RelayID]bool{},
	}
	old, now := map[keys.RelayID]bool{}, map[keys.RelayID]bool{}
	for _, s := range after {
		now[s.ID] = true
	}
	hours := int(h.end.Sub(h.begin) / time.Hour)
	for _, s := range before {
		old[s.ID] = true
		s.Seen = h.begin.Add(-24 * time.Hour * time.Duration(1+rng.ExpFloat64()*700)) // sybil.md: relays live 700 days
		if !now[s.ID] {
			h.gone[s.ID] = h.begin.Add(time.Duration(rng.Int64N(int64(hours))) * time.Hour)
		}
		h.subjects = append(h.subjects, s)
	}
	draw := intensity(rng, hours)
	together := map[string]time.Time{}
	for _, s := range after {
		if old[s.ID] {
			continue
		}
		at := h.begin.Add(time.Duration(draw()) * time.Hour).Add(time.Duration(rng.IntN(60)) * time.Minute)
		for _, key := range companions(s) {
			if first, ok := together[key]; ok {
				at = first.Truncate(time.Hour).Add(time.Duration(rng.IntN(60)) * time.Minute)
			} else if rng.IntN(2) == 0 {
				together[key] = at
			}
		}
		s.Seen = at
		h.fresh[s.ID] = true
		h.subjects = append(h.subjects, s)
	}
	return h
}

// companions names what a relay may arrive together with: its family, its /24.
func companions(s detect.Subject) []string {
	p, _ := s.Addrs[0].Prefix(24)
	keys := []string{p.String()}
	for _, f := range s.Family {
		keys = append(keys, f.String())
	}
	return keys
}

// intensity returns a source of hours.
func intensity(rng *rand.Rand, hours int) func() int {
	sums := make([]float64, hours+1)
	day := 1.0
	for i := range hours {
		if i%24 == 0 {
			day = gamma(rng, 16)
		}
		sums[i+1] = sums[i] + day*gamma(rng, 8)
	}
	return func() int {
		at, _ := slices.BinarySearch(sums, rng.Float64()*sums[hours])
		return max(0, at-1)
	}
}

// gamma draws a gamma variate of a whole shape and mean 1.
func gamma(rng *rand.Rand, shape int) float64 {
	sum := 0.0
	for range shape {
		sum += rng.ExpFloat64()
	}
	return sum / float64(shape)
}

// at lists who is there at a time.
func (h *history) at(now time.Time) []detect.Subject {
	var list []detect.Subject
	for _, s := range h.subjects {
		if gone, ok := h.gone[s.ID]; s.Seen.After(now) || ok && gone.Before(now) {
			continue
		}
		list = append(list, s)
	}
	return list
}

func grouped(groups []detect.Group, code string) map[keys.RelayID]bool {
	m := map[keys.RelayID]bool{}
	for _, g := range groups {
		if code == "" || g.Code == code {
			for _, id := range g.Members {
				m[id] = true
			}
		}
	}
	return m
}

// The relays of 2017 as they are: what the detector calls a cluster is either an
// operator who declares no family or a mistake; nobody can tell from the data.
func TestStandingPopulation(t *testing.T) {
	list := population(t, "2017-03-10")
	at := time.Date(2017, 3, 10, 10, 0, 0, 0, time.UTC)
	total := uint64(0)
	for i := range list {
		list[i].Seen = at.AddDate(-1, 0, 0)
		total += list[i].Weight
	}
	began := time.Now()
	groups := detect.New(detect.Config{Usable: at.AddDate(0, -1, 0)}).Run(list, at, defaults())
	members, weight := grouped(groups, ""), uint64(0)
	for _, s := range list {
		if members[s.ID] {
			weight += s.Weight
		}
	}
	t.Logf("%d groups, %d of %d relays, %.2f %% of weight, in %v", len(groups), len(members), len(list), 100*float64(weight)/float64(total), time.Since(began))
	slices.SortFunc(groups, func(a, b detect.Group) int { return len(b.Members) - len(a.Members) })
	for _, g := range groups[:min(len(groups), 12)] {
		t.Log(len(g.Members), g.Millibits/1000, g.Why, describe(list, g.Members))
	}
	if share := float64(weight) / float64(total); share > 0.05 {
		t.Errorf("%.2f of the weight in clusters, want at most 0.05", share)
	}
}

func describe(list []detect.Subject, members []keys.RelayID) string {
	var out []string
	for _, s := range list {
		if _, ok := slices.BinarySearchFunc(members, s.ID, func(a, b keys.RelayID) int { return cmp.Compare(string(a[:]), string(b[:])) }); ok && len(out) < 6 {
			out = append(out, fmt.Sprint(s.Nickname, " ", s.Addrs[0], ":", s.Port, " ", s.Version, " fam", len(s.Family)))
		}
	}
	return strings.Join(out, "; ")
}

// Day by day through the real arrivals: few of them are called a batch.
func TestHonestArrivals(t *testing.T) {
	for seed := range uint64(2) {
		h := honest(t, seed)
		d := detect.New(detect.Config{Usable: h.begin})
		var groups []detect.Group
		runs, took := 0, time.Duration(0)
		for now := h.begin.Add(time.Hour); now.Before(h.end); now = now.Add(24 * time.Hour) {
			list := h.at(now)
			began := time.Now()
			groups = d.Run(list, now, defaults())
			took += time.Since(began)
			runs++
		}
		var weight, total uint64
		batches, clusters, n := grouped(groups, detect.Batch), grouped(groups, detect.Cluster), [3]int{}
		for _, s := range h.subjects {
			if h.fresh[s.ID] {
				n[0]++
				total += s.Weight
				if batches[s.ID] {
					n[1]++
				}
				if clusters[s.ID] {
					n[2]++
				}
				if batches[s.ID] || clusters[s.ID] {
					weight += s.Weight
				}
			}
		}
		neighbours := 0 // of one /24 with another of their group
		for _, g := range groups {
			t.Log(g.Code, len(g.Members), g.Window, g.Why)
			neighbours += together(h.subjects, g.Members)
		}
		share := float64(n[1]+n[2]) / float64(n[0])
		t.Logf("seed %d: of %d arrivals %d in batches, %d in clusters (%.2f %%; all groups hold %d of one /24 with another member), %.2f %% of their weight; %v a run", seed, n[0], n[1], n[2], 100*share, neighbours, 100*float64(weight)/float64(total), took/time.Duration(runs))
		if share > 0.05 {
			t.Errorf("seed %d: %.3f of the arrivals in groups, want at most 0.05", seed, share)
		}
	}
}

// together counts the members that share a /24 with another.
func together(list []detect.Subject, members []keys.RelayID) int {
	in := map[keys.RelayID]bool{}
	for _, id := range members {
		in[id] = true
	}
	having := map[netip.Prefix]int{}
	for _, s := range list {
		if in[s.ID] {
			p, _ := s.Addrs[0].Prefix(24)
			having[p]++
		}
	}
	n := 0
	for _, c := range having {
		if c > 1 {
			n += c
		}
	}
	return n
}

// An attack is a batch of relays made for a test.
type attack struct {
	name     string
	linkable bool          // one make, few places
	alike    bool          // one make
	span     time.Duration // over which it arrives
	recall   float64       // that is asserted
}

// relays draws n of them. Those alike have one version, policy and port, drawn
// from the honest newcomers, else each has a newcomer's. Linkable ones stand in a
// /16 for every 50, at least two; the others in a /16 for every two.
func (a attack) relays(rng *rand.Rand, n int, like []detect.Subject, at time.Time) []detect.Subject {
	pick := func() detect.Subject { return like[rng.IntN(len(like))] }
	model := pick()
	places := max(2, n/50)
	if !a.linkable {
		places = n / 2
	}
	ranges := make([][4]byte, places)
	for i := range ranges {
		ranges[i] = pick().Addrs[0].As4()
	}
	var list []detect.Subject
	for i := range n {
		s := model
		if !a.alike {
			s = pick()
		}
		r := ranges[rng.IntN(places)]
		s.ID = id(fmt.Sprint(a.name, n, i, rng.Uint64()))
		s.Addrs = []netip.Addr{netip.AddrFrom4([4]byte{r[0], r[1], byte(rng.IntN(256)), byte(rng.IntN(256))})}
		s.Family, s.Nickname = nil, fmt.Sprintf("%c%x", 'a'+rng.IntN(26), rng.Uint32())
		s.Seen = at.Add(time.Duration(rng.Int64N(int64(a.span)))).Truncate(time.Minute)
		list = append(list, s)
	}
	return list
}

// Batches among the real arrivals are found within a day.
func TestInjectedBatches(t *testing.T) {
	h := honest(t, 11)
	at := h.begin.Add(40*24*time.Hour + 5*time.Hour)
	d := detect.New(detect.Config{Usable: h.begin})
	for now := h.begin.Add(6 * time.Hour); !now.After(at); now = now.Add(24 * time.Hour) {
		d.Run(h.at(now), now, defaults())
	}
	state, err := d.Save()
	if err != nil {
		t.Fatal(err)
	}
	standing := h.at(at.Add(24 * time.Hour))
	already := grouped(d.Run(standing, at.Add(24*time.Hour), defaults()), "")
	var like []detect.Subject
	for _, s := range standing {
		if h.fresh[s.ID] {
			like = append(like, s)
		}
	}
	rng := rand.New(rand.NewPCG(5, 5))
	for _, a := range []attack{
		{"linkable", true, true, time.Hour, 0.9}, {"linkable", true, true, 6 * time.Hour, 0.9}, {"linkable", true, true, 20 * time.Hour, 0.9},
		{"spread", false, true, time.Hour, 0.9}, {"spread", false, true, 20 * time.Hour, 0},
		{"hard", false, false, time.Hour, 0.6}, {"hard", false, false, 20 * time.Hour, 0},
	} {
		for _, n := range []int{20, 50, 115} {
			const trials = 3
			found, wrong := 0, 0
			for range trials {
				d, err := detect.Load(detect.Config{Usable: h.begin}, state)
				if err != nil {
					t.Fatal(err)
				}
				more := a.relays(rng, n, like, at)
				members := grouped(d.Run(slices.Concat(standing, more), at.Add(24*time.Hour), defaults()), "")
				for _, s := range more {
					if members[s.ID] {
						found++
					}
				}
				for _, s := range standing {
					if members[s.ID] && !already[s.ID] {
						wrong++
					}
				}
			}
			recall := float64(found) / float64(n*trials)
			t.Logf("%-8s %3d relays over %4v: recall %.3f; honest with them: %.1f of about %.0f that day", a.name, n, a.span, recall, float64(wrong)/trials, math.Round(float64(len(h.fresh))/65))
			if recall < a.recall {
				t.Errorf("%s %d over %v: recall %.3f, want at least %.1f", a.name, n, a.span, recall, a.recall)
			}
			if a.linkable && wrong > 10*trials {
				t.Errorf("%s %d over %v: %d honest relays in %d trials, want at most ten in each", a.name, n, a.span, wrong, trials)
			}
		}
	}
}
