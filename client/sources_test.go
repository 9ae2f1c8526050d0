package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell/link"
	"tunic/directory"
	"tunic/directory/mirror"
)

func TestSourcesErrorIsPlain(t *testing.T) {
	refused := fmt.Errorf("fetch consensus: %w", &guardError{fmt.Errorf("connect: %w", syscall.ECONNREFUSED)})
	other := &guardError{errors.New("link handshake failed")}
	echo := fmt.Errorf("fetch consensus: %w", &guardError{link.ErrDialFailed})
	for _, row := range []struct {
		errs []error
		want string
		news bool
	}{
		{[]error{refused, refused, refused}, "the 3 mirrors and authorities that were asked: " + syscall.ECONNREFUSED.Error(), true},
		{[]error{other, refused, refused}, syscall.ECONNREFUSED.Error() + " (2), link handshake failed (1)", true},
		{[]error{echo, echo}, link.ErrDialFailed.Error(), false},
		{[]error{echo, refused}, "(1), ", true},
		{[]error{directory.ErrExpired}, directory.ErrExpired.Error(), true},
	} {
		err := error(&sourcesError{row.errs})
		if !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q, want %q", err, row.want)
		}
		if isNews(err) != row.news {
			t.Errorf("%v: news %v", err, !row.news)
		}
		if !errors.Is(err, row.errs[0]) {
			t.Errorf("%v has lost its causes", err)
		}
	}
}

// When all who were asked are busy they are left alone for as long as the first
// of them said, but no longer than after any other failures.
func TestBusySourcesAreLeftAlone(t *testing.T) {
	for _, row := range []struct{ said, least time.Duration }{
		{4 * time.Minute, 4 * time.Minute},
		{time.Hour, 10 * time.Minute}, // a sixth of the period
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 7, 3)
			var asked []time.Time
			w.sources = func(link.Target) error {
				w.mu.Lock()
				defer w.mu.Unlock()
				asked = append(asked, time.Now())
				return fmt.Errorf("fetch consensus: %w", &mirror.BusyError{RetryAfter: row.said + time.Duration(len(asked)%3)*time.Minute})
			}
			c := launchIn(t, w, t.TempDir(), &memory{}, nil)
			time.Sleep(time.Hour)
			_ = c.Close()
			n := len(w.file.Authorities)
			if len(asked) < 2*n {
				t.Fatalf("asked %d times in an hour", len(asked))
			}
			if pause := asked[n].Sub(asked[n-1]); pause < row.least || pause > 11*time.Minute {
				t.Errorf("told to wait for %v, the client came again after %v", row.said, pause)
			}
		})
	}
	if d := busyFor(&sourcesError{[]error{&mirror.BusyError{RetryAfter: time.Minute}, errRefused}}); d != 0 {
		t.Errorf("waits for %v though one source failed in another way", d)
	}
}

// A client whose network has not begun says when it does, and is ready then.
func TestNetworkThatHasNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		w.file.Timing.Start = time.Now().Add(90 * time.Minute).Truncate(time.Millisecond)
		c := launchIn(t, w, t.TempDir(), &memory{}, nil)
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := c.WaitReady(ctx)
		if want := "comes at " + directory.FormatTime(w.file.Timing.Start); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("WaitReady: %v, want %q", err, want)
		}
		time.Sleep(time.Until(w.file.Timing.Start))
		w.publish(w.relays())
		ready(t, c)
	})
}
