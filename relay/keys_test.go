package relay

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tunic/directory/keys"
)

// The operator of an identity that is kept elsewhere hears in time that the
// signing key runs out; one whose identity is here has nothing to do.
func TestSigningKeyThatRunsOut(t *testing.T) {
	const day = 24 * time.Hour
	dir := filepath.Join(t.TempDir(), "keys")
	made := time.Now()
	set, err := keys.LoadOrCreate(dir, made)
	if err != nil {
		t.Fatal(err)
	}
	_, cert := set.Signing()
	if _, soon := runsOut(set, cert.Expires.Add(-day)); soon {
		t.Error("a warning although the identity is here")
	}
	if err := os.Remove(filepath.Join(dir, "identity.key")); err != nil {
		t.Fatal(err)
	}
	if set, err = keys.LoadOrCreate(dir, made); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		left time.Duration
		want bool
	}{{8 * day, false}, {7 * day, true}, {time.Hour, true}, {-time.Hour, true}} {
		end, soon := runsOut(set, cert.Expires.Add(-row.left))
		if soon != row.want || soon && !end.Equal(cert.Expires) {
			t.Errorf("%v before the end: %v, %v", row.left, soon, end)
		}
	}
}
