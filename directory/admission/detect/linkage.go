package detect

import (
	"math"
	"slices"

	"tunic/directory/rules"
)

const mostLinked = 512 // our choice: subjects clustered at once, 1 MiB of evidence

// threshold is the evidence in bits at which subjects join to a set of size, by
// the average over pairs: what it takes to beat the number of sets of that size
// among n subjects, shared by all but one of the members, and a margin for each.
// For a pair it is log2(n(n-1)/2) + margin. Sets smaller than a group may be
// have a group's threshold.
func threshold(n, size int, r *rules.Rules) float64 {
	size = max(min(size, n), r.Detection.Least, 2)
	if n < size {
		return math.Inf(1)
	}
	sets := logFactorial(n) - logFactorial(size) - logFactorial(n-size)
	return sets/math.Ln2/float64(size-1) + float64(r.Detection.MarginBits)
}

func logFactorial(n int) float64 {
	l, _ := math.Lgamma(float64(n) + 1)
	return l
}

// floor is the evidence below which no pair is looked at: the threshold of a
// large group, but of no more than four fifths of all.
func floor(n int, r *rules.Rules) float64 {
	return threshold(n, min(64, n*4/5), r)
}

// A linker finds the sets of alike subjects around some.
type linker struct {
	v     *view
	x     *index
	r     *rules.Rules
	floor float64
	done  []bool // by subject: looked at
}

// around returns the subjects that a chain of likeness connects to i, at most
// mostLinked, ascending.
func (l *linker) around(i int) []int {
	found := []int{i}
	l.done[i] = true
	for k := 0; k < len(found) && len(found) < mostLinked; k++ {
		l.x.peers(found[k], func(j int) {
			if l.done[j] || len(found) == mostLinked || l.v.evidence(found[k], j) < l.floor {
				return
			}
			l.done[j] = true
			found = append(found, j)
		})
	}
	slices.Sort(found)
	return found
}

// A node of the tree that average linkage makes: a subject, or two nodes joined
// at a height, the mean evidence of the pairs between them.
type node struct {
	left, right int // nodes, -1 in a leaf
	height      float64
	members     []int
}

// clusters links the subjects by average linkage and returns the greatest sets
// whose height reaches their threshold, each ascending.
func (l *linker) clusters(of []int) [][]int {
	nodes := l.tree(of)
	joined := make([]bool, len(nodes)) // below a set that was taken
	var sets [][]int
	for k, n := range slices.Backward(nodes) {
		if n.left < 0 {
			continue
		}
		if !joined[k] && len(n.members) >= l.r.Detection.Least && n.height >= threshold(len(l.v.subjects), len(n.members), l.r) {
			slices.Sort(n.members)
			sets = append(sets, n.members)
			joined[k] = true
		}
		joined[n.left], joined[n.right] = joined[k], joined[k]
	}
	return sets
}

// tree joins the two nearest nodes again and again, down to the floor.
func (l *linker) tree(of []int) []node {
	t := l.newTree(of)
	for {
		a, b := t.closest()
		if a < 0 || float64(t.bits[a*t.n+b]) < l.floor {
			return t.nodes
		}
		t.join(a, b)
	}
}

// A tree in the making has n slots, of which each holds a node or nothing. The
// nearest of each slot is kept, so that all joins together take about n² steps.
type tree struct {
	n       int
	nodes   []node
	bits    []float32 // mean evidence between the nodes of two slots, n·n
	slot    []int     // the node in each slot, -1: none
	nearest []int     // the slot nearest to each, -1: none
}

// newTree compares all of the subjects, a leaf each.
func (l *linker) newTree(of []int) *tree {
	n := len(of)
	t := &tree{n: n, nodes: make([]node, n, 2*n), bits: make([]float32, n*n), slot: make([]int, n), nearest: make([]int, n)}
	for i := range of {
		t.nodes[i] = node{left: -1, right: -1, members: []int{of[i]}}
		t.slot[i] = i
		for j := range i {
			e := float32(l.v.evidence(of[i], of[j]))
			t.bits[i*n+j], t.bits[j*n+i] = e, e
		}
	}
	for i := range n {
		t.find(i)
	}
	return t
}

// find looks for the slot nearest to i.
func (t *tree) find(i int) {
	best, row := -1, t.bits[i*t.n:(i+1)*t.n]
	for j, node := range t.slot {
		if j != i && node >= 0 && (best < 0 || row[j] > row[best]) {
			best = j
		}
	}
	t.nearest[i] = best
}

// closest returns the two slots that are nearest to each other, -1 if there are
// not two.
func (t *tree) closest() (a, b int) {
	a, b = -1, -1
	for i, node := range t.slot {
		if j := t.nearest[i]; node >= 0 && j >= 0 && (a < 0 || t.bits[i*t.n+j] > t.bits[a*t.n+b]) {
			a, b = i, j
		}
	}
	return a, b
}

// join puts a node that holds those of two slots in the first.
func (t *tree) join(a, b int) {
	p, q := t.nodes[t.slot[a]].members, t.nodes[t.slot[b]].members
	t.nodes = append(t.nodes, node{left: t.slot[a], right: t.slot[b], height: float64(t.bits[a*t.n+b]), members: slices.Concat(p, q)})
	t.slot[a], t.slot[b] = len(t.nodes)-1, -1
	wp, wq := float32(len(p)), float32(len(q))
	for j, node := range t.slot {
		if j != a && node >= 0 {
			e := (wp*t.bits[a*t.n+j] + wq*t.bits[b*t.n+j]) / (wp + wq)
			t.bits[a*t.n+j], t.bits[j*t.n+a] = e, e
		}
	}
	t.find(a)
	for j, node := range t.slot {
		switch {
		case j == a || node < 0:
		case t.nearest[j] == a || t.nearest[j] == b:
			t.find(j)
		case t.bits[j*t.n+a] > t.bits[j*t.n+t.nearest[j]]:
			t.nearest[j] = a
		}
	}
}

// mean is the mean evidence between two sets, over at most 16 of each.
func (v *view) mean(a, b []int) float64 {
	a, b = spread(a), spread(b)
	sum, pairs := 0.0, 0
	for _, i := range a {
		for _, j := range b {
			if i != j {
				sum += v.evidence(i, j)
				pairs++
			}
		}
	}
	return sum / float64(max(pairs, 1))
}

const sample = 16 // our choice: members that stand for a set

func spread(list []int) []int {
	if len(list) <= sample {
		return list
	}
	of := make([]int, sample)
	for k := range of {
		of[k] = list[k*len(list)/sample]
	}
	return of
}
