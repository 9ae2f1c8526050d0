package hybrid_test

import (
	"testing"

	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

func TestLabelIsTheListedOne(t *testing.T) {
	if hybrid.LabelPSK != keys.LabelHybridPSK {
		t.Errorf("label %q, listed %q", hybrid.LabelPSK, keys.LabelHybridPSK)
	}
}
