package client

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tunic/client/path"
	"tunic/directory"
)

// BenchmarkTake is the choice of a circuit for a request, in a pool of a
// thousand circuits of other keys.
func BenchmarkTake(b *testing.B) {
	now := time.Unix(1e9, 0)
	p := newPool(rand.New(rand.NewPCG(1, 1)), now)
	exit := &directory.Relay{Ports: summary(b, "80,443")}
	for i := range maxCircuits {
		e := p.add(path.Path{exit, exit, exit}, nil, path.Need{}, now)
		e.circuit, e.opened = &standing{make(chan struct{})}, now
		p.admit(e, now)
		p.take(wish{key: fmt.Sprint(i), need: path.Need{Port: 443}}, now)
	}
	w := wish{key: "7", need: path.Need{Port: 443}}
	b.ReportAllocs()
	for b.Loop() {
		e, _ := p.take(w, now)
		p.release(e, now)
	}
}
