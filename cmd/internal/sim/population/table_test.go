package population

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tunic/directory"
)

func packed(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var head = strings.Join(columns, "\t") + "\n"

const small = "A\tone\t1.2.3.4\t9001\t-\tFast,Guard,Running,Stable,V2Dir,Valid\t100\t0\t0.2.9\t-\tB,C\n" +
	"B\ttwo\t1.2.3.5\t443\t2001:db8::1\tExit,Running,Valid\t7\t0\t0.2.9\treject 25,119-135\tA\n" +
	"C\tthree\t5.6.7.8\t443\t?\tExit,BadExit,Running,Valid\t0\t1\t0.2.9\taccept 80\t-\n"

func TestReadTable(t *testing.T) {
	relays, _, err := readTable(packed(t, head+small))
	if err != nil || len(relays) != 3 {
		t.Fatal(relays, err)
	}
	a, b, c := relays[0], relays[1], relays[2]
	if a.Family < 0 || a.Family != b.Family || c.Family != -1 {
		t.Errorf("families %d, %d, %d: only mutual claims count", a.Family, b.Family, c.Family)
	}
	if !a.V2Dir || !a.Flags.Has(directory.Guard|directory.Stable) || !a.Ports.Empty() {
		t.Errorf("%+v", a)
	}
	if b.Ports.Allows(25) || b.Ports.Allows(120) || !b.Ports.Allows(80) || len(b.Addrs) != 2 {
		t.Errorf("%+v", b)
	}
	if c.Flags.Has(directory.Exit) || !c.Ports.Empty() {
		t.Errorf("a bad exit is an exit: %+v", c)
	}
}

func TestReadTableRefuses(t *testing.T) {
	for _, text := range []string{"", "fingerprint\n", head + "A\n", head + strings.Replace(small, "1.2.3.4", "1.2.3.400", 1),
		head + strings.Replace(small, "\t100\t", "\t-1\t", 1), head + small + small, head + strings.Replace(small, "reject 25", "refuse 25", 1),
		head + strings.Replace(small, "119-135", "135-119", 1), head + strings.Replace(small, "9001", "90010", 1)} {
		if _, _, err := readTable(packed(t, text)); !errors.Is(err, ErrTable) {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

// A network over which no circuit can be built has no figures.
func TestReadRefusesWhatCarriesNothing(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]error{
		head: errNoGuard,
		head + strings.ReplaceAll(small, "Guard,", ""):             errNoGuard,
		head + strings.ReplaceAll(small, "reject 25,119-135", "-"): errNoExit,
		head + small: nil,
	} {
		name := filepath.Join(dir, "some-2017-03-10.tsv.gz")
		if err := os.WriteFile(name, packed(t, text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(name, Options{}); !errors.Is(err, want) {
			t.Errorf("%.200q: %v, want %v", text, err, want)
		}
	}
	for _, name := range []string{"synth:9", "synth:", "synth:50x", "synth:50001"} {
		if _, err := Read(name, Options{}); err == nil || !strings.Contains(err.Error(), "10 to 50000") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadTable(f *testing.F) {
	f.Add(head + small)
	f.Fuzz(func(t *testing.T, text string) {
		relays, prints, err := readTable(packed(t, text))
		if err == nil && len(relays) != len(prints) {
			t.Errorf("%d relays, %d fingerprints", len(relays), len(prints))
		}
	})
}

// The real table: its README's counts, and the position weights that Tor's
// authorities found.
func TestRealTable(t *testing.T) {
	name := filepath.Join("..", "..", "..", "..", "..", "shared", "data", "consensus-2017-03-10.tsv.gz")
	if _, err := os.Stat(name); err != nil {
		t.Skip("no populations beside the repository")
	}
	p, err := Read(name, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	families, young, providers := 0, 0, map[uint32]bool{}
	var g, m, e, d uint64 = 1, 1, 1, 1
	for i := range p.Relays {
		r := &p.Relays[i]
		if r.Family >= 0 {
			families++
		}
		if r.Age < 65 {
			young++
		}
		providers[r.AS] = true
		switch guard, exit := r.Flags.Has(directory.Guard), r.Flags.Has(directory.Exit); {
		case guard && exit:
			d += r.Weight
		case guard:
			g += r.Weight
		case exit:
			e += r.Weight
		default:
			m += r.Weight
		}
	}
	if len(p.Relays) != 7326 || families != 1376 || p.Families != 376 || p.Day != 17_235 {
		t.Errorf("%d relays, %d in %d families, day %d", len(p.Relays), families, p.Families, p.Day)
	}
	if w := directory.Weights(g, m, e, d); w.Wgg < 5830 || w.Wgg > 5840 || w.Wee != 10_000 || w.Wed != 10_000 || w.Wgd != 0 {
		t.Errorf("position weights %+v, Tor's had Wgg 5833", w)
	}
	if young < 500 || young > 900 { // of 7326, with a mean age of 700 days: 649
		t.Errorf("%d relays younger than the oldest table", young)
	}
	if len(providers) < 300 || len(providers) > 900 {
		t.Errorf("%d providers", len(providers))
	}
}

func TestSynthetic(t *testing.T) {
	p := Synthetic(3000, Options{Seed: 1})
	guards, exits, ages := 0, 0, 0
	for i := range p.Relays {
		r := &p.Relays[i]
		ages += r.Age
		if r.Flags.Has(directory.Guard) {
			guards++
		}
		if !r.Ports.Empty() {
			exits++
		}
	}
	if len(p.Relays) != 3000 || guards < 1000 || guards > 2200 || exits < 300 || exits > 1200 || ages < 3000*550 || ages > 3000*800 {
		t.Errorf("%d relays, %d guards, %d exits, mean age %d", len(p.Relays), guards, exits, ages/3000)
	}
	q := Synthetic(3000, Options{Seed: 1})
	if q.Relays[7].ID != p.Relays[7].ID || q.Relays[7].Weight != p.Relays[7].Weight {
		t.Error("one seed, two networks")
	}
}
