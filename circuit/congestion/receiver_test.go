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

func TestOverrunBeyondTheLargestWindow(t *testing.T) {
	p := Default()
	p.CwndMax = 1_000
	r := NewReceiver(p)
	for n := 1; n <= 1_001; n++ {
		if r.Overrun() {
			t.Fatalf("overrun before cell %d", n)
		}
		r.Received()
	}
	if !r.Overrun() {
		t.Fatal("1,001 unacknowledged cells are no overrun of 1,000")
	}
	r.Acked()
	if r.Overrun() {
		t.Error("970 unacknowledged cells are an overrun of 1,000")
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
