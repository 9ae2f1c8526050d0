package relay_test

import (
	"testing"

	"tunic/circuit"
	"tunic/circuit/congestion"
	"tunic/directory"
)

// TestCircuitsFollowTheConsensus has a consensus set another pace of SENDMEs: what
// begins from then on keeps it.
func TestCircuitsFollowTheConsensus(t *testing.T) {
	nw := newEmptyNet(t, options{})
	nw.set = []directory.Param{{Name: "cc_sendme_inc", Value: 40}}
	r := nw.add(options{}, 0)
	nw.publish()
	p := nw.client(nil)
	l := nw.dial(p, r)
	if c, err := circuit.Open(nw.ctx(), l, r.hop(), nw.params); err == nil {
		t.Error("the relay keeps the default pace")
		c.Close()
	}
	nw.params.Congestion = congestion.FromConsensus(nw.authority.source.Current().Consensus.Param)
	if nw.params.Congestion.SendmeInc != 40 {
		t.Fatalf("the consensus sets %+v", nw.params.Congestion)
	}
	c, err := circuit.Open(nw.ctx(), l, r.hop(), nw.params)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
