package authority

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
)

func TestEvidenceIsBoundedAndCanBeChecked(t *testing.T) {
	n, dir := directorytest.New(3), t.TempDir()
	a := &Authority{cfg: Config{Dir: dir}, log: slog.New(slog.DiscardHandler)}
	if err := os.Mkdir(filepath.Join(dir, evidenceDir), 0o700); err != nil {
		t.Fatal(err)
	}
	env := newVote(t, n, 1, 0).envelope(t, n, 0, 1)
	for i := range maxEvidence + 3 {
		p := &period{round: directory.Round{ValidAfter: epoch.Add(time.Duration(i) * time.Hour)}}
		a.keepEvidence(p, []*candidate{{env: env}})
	}
	files, err := filepath.Glob(filepath.Join(dir, evidenceDir, "*"))
	if err != nil || len(files) != maxEvidence {
		t.Fatalf("%d files (%v)", len(files), err)
	}
	doc, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := directory.ParseEnvelope(doc, n.Network); err != nil || got.Digest() != env.Digest() || got.Vote == nil {
		t.Errorf("evidence does not verify: %v", err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
}
