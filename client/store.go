package client

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"tunic/client/path"
	"tunic/directory/keys"
)

// Names in the state directory.
const (
	lockFile      = "client.lock"
	consensusFile = "consensus"
)

// maxGuardsFile bounds the file of the guards, in bytes: our choice; a full one
// has 80 KiB.
const maxGuardsFile = 256 << 10

// A store is the state directory: one client at a time has it.
type store struct {
	dir  string
	lock *os.File
}

// openStore makes the directory where it is missing, and locks it.
func openStore(dir string) (*store, error) {
	if dir == "" {
		return nil, errors.New("state directory: none given")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := tryLock(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return &store{dir, f}, nil
}

// close gives the directory back.
func (s *store) close() error { return s.lock.Close() }

// consensus returns the file of the cached consensus.
func (s *store) consensus() string { return filepath.Join(s.dir, consensusFile) }

// guardsFile returns the file of the guards in one network.
func (s *store) guardsFile(network string) string {
	return filepath.Join(s.dir, "guards-"+url.PathEscape(network)+".json")
}

// loadGuards returns the guards that were kept, or none if nothing was. A file
// that does not parse is an error: to go on without it would give the client
// new guards, which is what whoever damaged it may want.
func (s *store) loadGuards(network string, now time.Time) (*path.Guards, error) {
	file := s.guardsFile(network)
	b, err := keys.ReadFile(file, maxGuardsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return path.NewGuards(network), nil
	}
	if err != nil {
		return nil, fmt.Errorf("guards: %w", err)
	}
	state, err := path.ParseState(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; who removes it chooses new guards", file, err)
	}
	return path.RestoreGuards(state, network, now)
}

func (s *store) saveGuards(network string, state path.State) error {
	b, err := state.Encode()
	if err != nil {
		return fmt.Errorf("guards: %w", err)
	}
	if err := keys.WriteFile(s.guardsFile(network), b); err != nil {
		return fmt.Errorf("guards: %w", err)
	}
	return nil
}
