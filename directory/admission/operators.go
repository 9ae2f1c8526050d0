package admission

import (
	"bytes"

	"tunic/directory"
)

// none is the operator of a relay without a family.
const none = -1

// operators are those that families tell apart: families that share a relay are
// one operator's, since each of them certified it. So several keys on one relay
// are worth no more than one.
type operators struct {
	of       []int32 // of each relay, none if it has no family
	n        int
	name     []directory.Digest // of each: its smallest family
	families map[directory.Digest]int32
}

// operatorsOf finds them. The work is nearly linear.
func operatorsOf(relays []Relay) *operators {
	o := &operators{of: make([]int32, len(relays)), families: map[directory.Digest]int32{}}
	var sets forest
	for i := range relays {
		o.of[i] = none
		for _, f := range relays[i].Family {
			if f.IsZero() { // stands for no family elsewhere
				continue
			}
			id, ok := o.families[f]
			if !ok {
				id = sets.add()
				o.families[f] = id
			}
			if o.of[i] == none {
				o.of[i] = id
			}
			sets.join(o.of[i], id)
		}
	}
	o.number(&sets)
	return o
}

// number gives each set of families a number, and its name.
func (o *operators) number(sets *forest) {
	ids := map[int32]int32{} // by root
	for f, id := range o.families {
		root := sets.find(id)
		n, ok := ids[root]
		if !ok {
			n = int32(len(ids))
			ids[root] = n
			o.name = append(o.name, f)
		}
		if bytes.Compare(f[:], o.name[n][:]) < 0 {
			o.name[n] = f
		}
		o.families[f] = n
	}
	o.n = len(ids)
	for i, id := range o.of {
		if id != none {
			o.of[i] = ids[sets.find(id)]
		}
	}
}

// byFamily returns the operator of a family, none if no relay has it.
func (o *operators) byFamily(f directory.Digest) int32 {
	if n, ok := o.families[f]; ok {
		return n
	}
	return none
}

// forest is the usual structure of disjoint sets, of consecutive numbers.
type forest []int32

func (f *forest) add() int32 {
	n := int32(len(*f))
	*f = append(*f, n)
	return n
}

func (f forest) find(x int32) int32 {
	for f[x] != x {
		f[x] = f[f[x]] // halves the way for the next one
		x = f[x]
	}
	return x
}

func (f forest) join(a, b int32) {
	a, b = f.find(a), f.find(b)
	f[max(a, b)] = min(a, b)
}

// Families returns for each relay the operator that its declared families tell,
// by the smallest of the families that are linked through relays with several;
// zero for a relay without a family.
func Families(relays []Relay) []directory.Digest {
	ops := operatorsOf(relays)
	names := make([]directory.Digest, len(relays))
	for i, o := range ops.of {
		if o != none {
			names[i] = ops.name[o]
		}
	}
	return names
}
