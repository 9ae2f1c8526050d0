package directory

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// encoding64 is the one form of binary fields: unpadded base64url, whose spare
// bits must be zero.
var encoding64 = base64.RawURLEncoding.Strict()

// decode64 fills dst with what s encodes in its canonical form.
func decode64(dst []byte, s string) error {
	if len(s) != encoding64.EncodedLen(len(dst)) || strings.ContainsAny(s, "\r\n") { // the decoder skips line ends
		return fmt.Errorf("%w: base64 of %d characters for %d bytes", ErrMalformed, len(s), len(dst))
	}
	if _, err := encoding64.AppendDecode(dst[:0:len(dst)], []byte(s)); err != nil {
		return fmt.Errorf("%w: base64", ErrMalformed)
	}
	return nil
}

// parseUint reads a decimal number of at most max in its one form: no sign, no
// leading zero.
func parseUint(s string, max uint64) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > max || s[0] == '+' || s[0] == '0' && len(s) > 1 {
		return 0, fmt.Errorf("%w: number", ErrMalformed)
	}
	return n, nil
}

// parseInt is parseUint for numbers of at most 32 bits with a sign.
func parseInt(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%w: number", ErrMalformed)
	}
	return n, nil
}

const ( // fixed by docs/protocol.md, "Documents"
	timeLayout = "2006-01-02T15:04:05.000Z" // UTC
	dateLayout = "2006-01-02"
	minYear    = 2000
	maxYear    = 2199 // any two times of documents lie within a time.Duration
)

// parseTime reads a time in its one form.
func parseTime(s string) (time.Time, error) { return parseAs(timeLayout, s) }

// ParseTime reads a time as all documents write it.
func ParseTime(s string) (time.Time, error) { return parseTime(s) }

// FormatTime writes what ParseTime reads; t is cut to milliseconds.
func FormatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// parseDate reads a day, as its first moment.
func parseDate(s string) (time.Time, error) { return parseAs(dateLayout, s) }

func parseAs(layout, s string) (time.Time, error) {
	var again [len(timeLayout)]byte
	if len(s) != len(layout) { // bounds the work: time.Parse takes any number of digits
		return time.Time{}, fmt.Errorf("%w: time", ErrMalformed)
	}
	t, err := time.Parse(layout, s)
	if err != nil || !validTime(t) || string(t.AppendFormat(again[:0], layout)) != s {
		return time.Time{}, fmt.Errorf("%w: time", ErrMalformed)
	}
	return t, nil
}

// validTime reports whether t can stand in a document.
func validTime(t time.Time) bool {
	y := t.UTC().Year()
	return y >= minYear && y <= maxYear
}

// Moment returns t as documents hold it: in UTC, cut to milliseconds.
func Moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// Day returns the first moment of t's day in UTC.
func Day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// isText reports whether s is 1 to max characters of printable ASCII without a
// space at either end.
func isText(s string, max int) bool {
	if s == "" || len(s) > max || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// isName reports whether s is 1 to max letters and digits, or characters of more.
func isName(s string, max int, more string) bool {
	if s == "" || len(s) > max {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !alnum && strings.IndexByte(more, c) < 0 {
			return false
		}
	}
	return true
}
