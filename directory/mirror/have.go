package mirror

import (
	"strings"
	"time"

	"tunic/directory"
)

const haveLayout = "2006-01-02T15:04:05.000Z"

// formatHave returns the value of headerHave.
func formatHave(validAfter time.Time, d directory.Digest) string {
	return validAfter.UTC().Format(haveLayout) + " " + d.String()
}

// parseHave reads the value of headerHave. A value that is none says that the
// client holds nothing: it gets the whole.
func parseHave(s string) (validAfter time.Time, d directory.Digest, ok bool) {
	at, digest, _ := strings.Cut(s, " ")
	validAfter, err := time.Parse(haveLayout, at)
	if err != nil || len(at) != len(haveLayout) {
		return time.Time{}, directory.Digest{}, false
	}
	d, err = directory.ParseDigest(digest)
	return validAfter, d, err == nil
}
