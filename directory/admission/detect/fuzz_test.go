package detect_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"tunic/directory/admission/detect"
)

// Whatever is on the disk: it is refused, or it is a state that runs on and
// stays one.
func FuzzLoad(f *testing.F) {
	all := slices.Concat(founders(), siblings("lurker", 7, start), crowd(20, start.Add(time.Hour)))
	d := detect.New(detect.Config{Usable: start})
	d.Run(all, start.Add(3*time.Hour), defaults())
	state, err := d.Save()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(state)
	f.Add([]byte("{}"))
	f.Add([]byte(`{"arrivals":{"first":99999999,"counts":[1,2]},"tested":3,"episodes":null,"groups":[]}`))
	f.Fuzz(func(t *testing.T, state []byte) {
		d, err := detect.Load(detect.Config{Usable: start}, state)
		if err != nil {
			return
		}
		d.Run(all, start.Add(4*time.Hour), defaults())
		once, err := d.Save()
		if err != nil {
			t.Fatal(err)
		}
		e, err := detect.Load(detect.Config{Usable: start}, once)
		if err != nil {
			t.Fatalf("what was saved does not load: %v", err)
		}
		if again, _ := e.Save(); !bytes.Equal(once, again) {
			t.Fatal("what was loaded is not what was saved")
		}
	})
}
