package bench

import (
	"context"
	"runtime"

	"tunic/circuit"
	"tunic/circuit/handshake"
	"tunic/directory/keys"
)

func handshakeSteps(r *run) []step {
	return []step{
		{"link, the relay's side", 2 * r.Time, r.linkHandshakes},
		{"hop, the relay's side", 2 * r.Time, r.hopHandshakes},
	}
}

// linkHandshakes is the cryptography of a link's responder.
func (r *run) linkHandshakes(ctx context.Context) error {
	a, err := newAgreement()
	if err != nil {
		return err
	}
	return r.addHandshakes(ctx, "link, the relay's side", func() error {
		_, _, err := a.respond()
		return err
	})
}

// hopHandshakes is what a relay spends on a CREATE.
func (r *run) hopHandshakes(ctx context.Context) error {
	id, key, params := keys.GenerateIdentity().Public(), keys.GenerateCircuit(), circuit.Params{Network: network}
	_, msg, err := handshake.Start(network, id, key.Public(), handshake.Extensions{})
	if err != nil {
		return err
	}
	return r.addHandshakes(ctx, "hop, the relay's side", func() error {
		_, _, err := handshake.Answer(network, id, key, msg, params.Grant, nil)
		return err
	})
}

// addHandshakes measures op on one core and on all.
func (r *run) addHandshakes(ctx context.Context, name string, op func() error) error {
	c, err := r.each(ctx, loop{run: func(n int) error {
		for range n {
			if err := op(); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return err
	}
	all, err := r.rate(ctx, runtime.GOMAXPROCS(0), op)
	if err != nil {
		return err
	}
	r.add("handshakes", name, figure{usEach, c.us()}, figure{perSecondOne, c.perSecond()}, figure{perSecondAll, all})
	return nil
}
