package link

import (
	"testing"

	"tunic/cell"

	"pgregory.net/rapid"
)

// The queue agrees with a slice.
func TestControlQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q control
		var model []cell.CircuitID
		next := cell.CircuitID(1)
		for range rapid.IntRange(0, 500).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "op") > 0 {
				ok := q.put(controlCell{header: cell.Header{Circuit: next}}, 100)
				if ok != (len(model) < 100) {
					t.Fatalf("put with %d waiting: %v", len(model), ok)
				}
				if ok {
					model = append(model, next)
				}
				next++
			} else if len(model) > 0 {
				if got := q.take(); got.header.Circuit != model[0] {
					t.Fatalf("took %v, want %v", got.header.Circuit, model[0])
				}
				model = model[1:]
			}
			if q.n != len(model) {
				t.Fatalf("%d waiting, want %d", q.n, len(model))
			}
		}
	})
}
