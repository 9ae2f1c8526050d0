package directory

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

const ( // fixed by docs/protocol.md, "Parameters"
	// MaxParams is the most parameters of a vote or consensus.
	MaxParams = 256
	// MaxParamName is the longest name of one: letters, digits and underlines.
	MaxParamName = 40
)

// A Param is a consensus parameter.
type Param struct {
	Name  string
	Value int64 // of 32 bits
}

func (p Param) valid() bool {
	return isName(p.Name, MaxParamName, "_") && math.MinInt32 <= p.Value && p.Value <= math.MaxInt32
}

// Params returns parameters in the order of documents. A name or a number that none
// can hold is an error.
func Params(values map[string]int64) ([]Param, error) {
	if len(values) > MaxParams {
		return nil, fmt.Errorf("more than %d parameters", MaxParams)
	}
	params := make([]Param, 0, len(values))
	for name, value := range values {
		p := Param{name, value}
		if !p.valid() {
			return nil, fmt.Errorf("parameter %q = %d: a name has 1 to %d letters, digits and _, a number 32 bits", name, value, MaxParamName)
		}
		params = append(params, p)
	}
	slices.SortFunc(params, func(a, b Param) int { return strings.Compare(a.Name, b.Name) })
	return params, nil
}

// encodeParams appends a line for each parameter.
func encodeParams(w *writer, params []Param) {
	if len(params) > MaxParams {
		w.fail("parameters")
	}
	last := ""
	for _, p := range params {
		if !p.valid() || p.Name <= last {
			w.fail("parameter")
		}
		w.keyword("param").text(p.Name).int(p.Value).end()
		last = p.Name
	}
}

// readParams reads what encodeParams writes: names strictly ascending.
func readParams(r *reader) (params []Param) {
	last := ""
	for r.at("param") {
		name, value := r.two(r.take("param"), "param")
		n, err := parseInt(value)
		p := Param{Name: cloned(name), Value: n}
		if err != nil || !p.valid() || p.Name <= last || len(params) == MaxParams {
			r.fail("param")
			return nil
		}
		params = append(params, p)
		last = p.Name
	}
	return params
}

// Param returns the value of a parameter, or def when the consensus has none,
// brought into least…most.
func (c *Consensus) Param(name string, def, least, most int64) int64 {
	i, ok := slices.BinarySearchFunc(c.Params, name, func(p Param, name string) int {
		return strings.Compare(p.Name, name)
	})
	if ok {
		def = c.Params[i].Value
	}
	return min(max(def, least), most)
}
