package relay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const ( // our choice
	historyFile    = "bandwidth" // in the state directory
	historyHeader  = "tunic relay bandwidth 1"
	maxHistoryLine = 2 * keptDays
	// minObserved is the least bandwidth in bytes/s that a descriptor claims to
	// have been seen: below, a relay has only been idle, and what it offers says
	// more.
	minObserved = 100_000
)

// observed is what the descriptor says was seen: the best average of the last
// days, of the slower direction. 0 says that nothing is known yet.
func observed(read, write *meter, now time.Time) uint64 {
	b := min(read.best(now), write.best(now))
	if b < minObserved {
		return 0
	}
	return b
}

// saveHistory writes the peaks of both directions to the state directory.
func saveHistory(dir string, read, write *meter, now time.Time) error {
	text := []byte(historyHeader + "\n")
	for _, d := range []struct {
		name string
		m    *meter
	}{{"read", read}, {"write", write}} {
		d.m.mu.Lock()
		peaks := d.m.window.history(now)
		d.m.mu.Unlock()
		for _, p := range peaks {
			text = fmt.Appendf(text, "%s %d %d\n", d.name, p.Day, p.Bytes)
		}
	}
	path := filepath.Join(dir, historyFile)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("save bandwidth history: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("save bandwidth history: %w", err)
	}
	return nil
}

// loadHistory takes up what saveHistory wrote. A file that is missing is an
// empty one; what makes no sense in it is left out, since nothing but the
// relay's weight for some days depends on it.
func loadHistory(dir string, read, write *meter, now time.Time) error {
	f, err := os.Open(filepath.Join(dir, historyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load bandwidth history: %w", err)
	}
	defer f.Close()
	return readHistory(f, read, write, now)
}

func readHistory(r io.Reader, read, write *meter, now time.Time) error {
	lines := bufio.NewScanner(io.LimitReader(r, 4096))
	if !lines.Scan() || lines.Text() != historyHeader {
		return errors.New("load bandwidth history: not a file of this kind")
	}
	for range maxHistoryLine {
		if !lines.Scan() {
			break
		}
		var name string
		var p peak
		if n, err := fmt.Sscanf(lines.Text(), "%s %d %d", &name, &p.Day, &p.Bytes); n != 3 || err != nil || p.Day < 0 {
			continue
		}
		m := read
		if name == "write" {
			m = write
		} else if name != "read" {
			continue
		}
		m.mu.Lock()
		m.window.restore([]peak{p}, now)
		m.mu.Unlock()
	}
	return lines.Err()
}
