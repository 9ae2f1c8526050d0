package authority

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	evidenceDir = "evidence"
	maxEvidence = 32 // our choice: files kept, the newest; each is a vote of up to 32 MiB
)

// keepEvidence writes both votes of authors that have two, as envelopes with
// the signatures of those that counted them: anybody can check them.
func (a *Authority) keepEvidence(p *period, found []*candidate) {
	for _, c := range found {
		a.mu.Lock()
		doc, err := c.env.Encode()
		a.mu.Unlock()
		if err == nil {
			name := fmt.Sprintf("%013d-%s-%s.vote", p.round.ValidAfter.UnixMilli(), c.env.Author, c.env.Digest())
			err = os.WriteFile(filepath.Join(a.cfg.Dir, evidenceDir, name), doc, storeMode)
		}
		a.log.Warn("authority voted twice", keyPeer, c.env.Author, keyPeriod, p.round.ValidAfter)
		if err != nil {
			a.log.Error("evidence not kept", keyError, err)
		}
	}
	if len(found) > 0 {
		a.pruneEvidence()
	}
}

// pruneEvidence removes the oldest files: their names begin with their time.
func (a *Authority) pruneEvidence() {
	dir := filepath.Join(a.cfg.Dir, evidenceDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		a.log.Error("evidence", keyError, err)
		return
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".vote") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	for len(names) > maxEvidence {
		if err := os.Remove(filepath.Join(dir, names[0])); err != nil {
			a.log.Error("evidence", keyError, err)
		}
		names = names[1:]
	}
}
