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

// tree joins the two nearest nodes again and again, down to the floor. Nearest
// neighbours are kept, so that it takes about the square of the number of
// subjects.
func (l *linker) tree(of []int) []node {
	n := len(of)
	nodes := make([]node, n, 2*n)
	bits := make([]float32, n*n) // between the nodes alive, by slot
	for i := range of {
		nodes[i] = node{left: -1, right: -1, members: []int{of[i]}}
		for j := range i {
			e := float32(l.v.evidence(of[i], of[j]))
			bits[i*n+j], bits[j*n+i] = e, e
		}
	}
	slot := make([]int, n) // the node in each slot, -1 none
	best := make([]int, n) // the nearest slot
	for i := range slot {
		slot[i] = i
	}
	nearest := func(i int) {
		best[i] = -1
		for j := range n {
			if j != i && slot[j] >= 0 && (best[i] < 0 || bits[i*n+j] > bits[i*n+best[i]]) {
				best[i] = j
			}
		}
	}
	for i := range n {
		nearest(i)
	}
	for {
		a := -1
		for i := range n {
			if slot[i] >= 0 && best[i] >= 0 && (a < 0 || bits[i*n+best[i]] > bits[a*n+best[a]]) {
				a = i
			}
		}
		if a < 0 || float64(bits[a*n+best[a]]) < l.floor {
			return nodes
		}
		b := best[a]
		p, q := &nodes[slot[a]], &nodes[slot[b]]
		wp, wq := float32(len(p.members)), float32(len(q.members))
		nodes = append(nodes, node{left: slot[a], right: slot[b], height: float64(bits[a*n+b]), members: slices.Concat(p.members, q.members)})
		slot[a], slot[b] = len(nodes)-1, -1
		for j := range n {
			if j != a && slot[j] >= 0 {
				e := (wp*bits[a*n+j] + wq*bits[b*n+j]) / (wp + wq)
				bits[a*n+j], bits[j*n+a] = e, e
			}
		}
		nearest(a)
		for j := range n {
			if j != a && slot[j] >= 0 {
				if best[j] == a || best[j] == b {
					nearest(j)
				} else if bits[j*n+a] > bits[j*n+best[j]] {
					best[j] = a
				}
			}
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
