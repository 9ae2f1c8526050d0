// Package logtest is a log that tests read while it is written. It has no other
// job, and nothing but tests imports it.
package logtest

import (
	"log/slog"
	"strings"
	"sync"
)

// A Journal keeps what is logged, from Info on. The zero value is empty and ready;
// all methods may be called at once.
type Journal struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

// Logger returns a logger that writes to j.
func (j *Journal) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// Write is for a logger.
func (j *Journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// String returns what has been logged.
func (j *Journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// Count returns how often what stands in it.
func (j *Journal) Count(what string) int { return strings.Count(j.String(), what) }
