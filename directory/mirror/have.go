package mirror

import (
	"strings"
	"time"

	"tunic/directory"
)

// formatHave returns the value of headerHave.
func formatHave(validAfter time.Time, d directory.Digest) string {
	return directory.FormatTime(validAfter) + " " + d.String()
}

// parseHave reads the value of headerHave. A value that is none says that the
// client holds nothing: it gets the whole.
func parseHave(s string) (validAfter time.Time, d directory.Digest, ok bool) {
	at, digest, _ := strings.Cut(s, " ")
	validAfter, err := directory.ParseTime(at)
	if err != nil {
		return time.Time{}, directory.Digest{}, false
	}
	d, err = directory.ParseDigest(digest)
	return validAfter, d, err == nil
}
