package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"tunic/cmd/node"
)

// reportVersion counts changes of the JSON that break a reader.
const reportVersion = 1

// A Report is what was measured. Its JSON is for programs: names stay as they are
// as long as Version does, and new ones may come.
type Report struct {
	Version int      `json:"version"`
	Machine Machine  `json:"machine"`
	Results []Result `json:"results"`
	Notes   []string `json:"notes"` // for people: what follows from the figures, what could not be measured
}

// Machine says where the figures are from.
type Machine struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	Cores int    `json:"cores"` // that the program may use
	Go    string `json:"go"`
	Tunic string `json:"tunic"`
}

// A Result is the figures of one case of a measurement. The unit stands at the end
// of a figure's name, as in cpu_s_per_gib.
type Result struct {
	Measurement string             `json:"measurement"`
	Case        string             `json:"case"`
	Figures     map[string]float64 `json:"figures"`

	order []string // of the figures in the table
}

func newReport() Report {
	return Report{Version: reportVersion, Results: []Result{}, Notes: []string{}, Machine: Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(), Tunic: node.Version}}
}

// add adds the figures of a case; what could not be measured, NaN, is left out.
func (r *run) add(measurement, name string, figures ...figure) {
	res := Result{Measurement: measurement, Case: name, Figures: map[string]float64{}}
	for _, f := range figures {
		if !math.IsNaN(f.value) {
			res.Figures[f.name] = f.value
			res.order = append(res.order, f.name)
		}
	}
	r.report.Results = append(r.report.Results, res)
}

// note adds a remark, once.
func (r *run) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.report.Notes, text) {
		r.report.Notes = append(r.report.Notes, text)
	}
}

// figure returns a figure that has been measured.
func (r *Report) figure(measurement, name, figure string) (v float64, ok bool) {
	for _, res := range r.Results {
		if res.Measurement == measurement && res.Case == name {
			v, ok = res.Figures[figure]
		}
	}
	return v, ok
}

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteTable writes the report for people: a table for each measurement.
func (r *Report) WriteTable(w io.Writer) error {
	m := &r.Machine
	if _, err := fmt.Fprintf(w, "tunic %s on %s/%s, %s, %s\n", m.Tunic, m.OS, m.Arch, plural(m.Cores, "core"), m.Go); err != nil {
		return err
	}
	about := map[string]string{comparison: "processor time for a GiB through three hops, beside the floor's"}
	for _, m := range measurements() {
		about[m.name] = m.about
	}
	for from := 0; from < len(r.Results); {
		name, to := r.Results[from].Measurement, from
		for to < len(r.Results) && r.Results[to].Measurement == name {
			to++
		}
		if _, err := fmt.Fprintf(w, "\n%s: %s\n", name, about[name]); err != nil {
			return err
		}
		if err := writeRows(w, r.Results[from:to]); err != nil {
			return err
		}
		from = to
	}
	for i, n := range r.Notes {
		if i == 0 {
			fmt.Fprintln(w)
		}
		if _, err := fmt.Fprintln(w, n); err != nil {
			return err
		}
	}
	return nil
}

// writeRows writes one table: a column for each figure that any row has. Where a row
// has none of the columns before it, another table begins.
func writeRows(w io.Writer, rows []Result) error {
	var columns []string
	for i, res := range rows {
		shared := false
		for _, name := range res.order {
			shared = shared || slices.Contains(columns, name)
		}
		if i > 0 && !shared {
			return errors.Join(writeTable(w, columns, rows[:i]), writeRows(w, rows[i:]))
		}
		for _, name := range res.order {
			if !slices.Contains(columns, name) {
				columns = append(columns, name)
			}
		}
	}
	return writeTable(w, columns, rows)
}

func writeTable(w io.Writer, columns []string, rows []Result) error {
	var text bytes.Buffer
	t := tabwriter.NewWriter(&text, 0, 8, 3, ' ', 0)
	for _, c := range columns {
		fmt.Fprint(t, "\t", headings[c])
	}
	fmt.Fprintln(t)
	for _, res := range rows {
		fmt.Fprint(t, "  ", res.Case)
		for _, c := range columns {
			value := ""
			if v, ok := res.Figures[c]; ok {
				value = round(v)
			}
			fmt.Fprint(t, "\t", value)
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush() // memory takes everything
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// round writes a number with three digits.
func round(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// plural returns a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
