package bench

import (
	"context"

	"tunic/cell"
	"tunic/circuit/onion"
)

// A layerOp is an operation of package onion; those that originate include their
// share of new keys.
type layerOp struct {
	name string
	do   func(s *onion.State, ad byte, body []byte)
}

func layerOps() []layerOp {
	return []layerOp{
		{"relay outward", func(s *onion.State, ad byte, b []byte) { s.RelayOutward(ad, b) }},
		{"relay inward", func(s *onion.State, ad byte, b []byte) { s.RelayInward(ad, b) }},
		{"relay originate", func(s *onion.State, ad byte, b []byte) { s.RelayOriginate(ad, b) }},
		{"client originate", func(s *onion.State, ad byte, b []byte) { s.ClientOriginate(ad, b) }},
		{"client outward", func(s *onion.State, ad byte, b []byte) { s.ClientOutward(ad, b) }},
		{"client inward", func(s *onion.State, ad byte, b []byte) { s.ClientInward(ad, b) }},
	}
}

func layerSteps(r *run) []step {
	var all []step
	for _, op := range layerOps() {
		all = append(all, step{op.name, r.Time, func(ctx context.Context) error {
			s := onion.NewState(&onion.Key{1})
			body := make([]byte, onion.BodySize, onion.BodySize+onion.Room)
			cost, err := r.each(ctx, loop{run: func(n int) error {
				for range n {
					op.do(&s, byte(cell.Relay), body)
				}
				return nil
			}})
			if err != nil {
				return err
			}
			r.add("layers", op.name, figure{nsPerCell, cost.ns()}, figure{mibPerSecond, cost.mibPerSecond(onion.BodySize)})
			return nil
		}})
	}
	return all
}
