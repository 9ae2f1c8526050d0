package congestion

import "testing"

func TestSendmeIsDueEvery31stCell(t *testing.T) {
	r := NewReceiver(Default())
	for n := 1; n <= 310; n++ {
		due := r.Received()
		if due != (n%31 == 0) {
			t.Errorf("cell %d: due %v", n, due)
		}
		if due {
			r.Acked()
		}
	}
}

// Whatever the window is here: the peer may know another consensus.
func TestOverrunBeyondTheLargestWindow(t *testing.T) {
	p := Default()
	p.CwndMax = 1_000
	r := NewReceiver(p)
	for n := 1; n <= MaxWindow+1; n++ {
		if r.Overrun() {
			t.Fatalf("overrun before cell %d", n)
		}
		r.Received()
	}
	if !r.Overrun() {
		t.Fatal("16,385 unacknowledged cells are no overrun")
	}
	r.Acked()
	if r.Overrun() {
		t.Error("16,354 unacknowledged cells are an overrun")
	}
}

func TestAckedPanicsWhenNothingIsDue(t *testing.T) {
	r := NewReceiver(Default())
	for range 30 {
		r.Received()
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	r.Acked()
}
