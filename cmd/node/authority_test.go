package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tunic/cmd/node"
)

func TestASTableIsFoundBesideTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "authority.toml")
	if err := os.WriteFile(path, []byte("network = \"n.toml\"\nstate = \"state\"\nas_table = \"networks\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var c node.AuthorityConfig
	if err := node.Load(path, &c); err != nil {
		t.Fatal(err)
	}
	if c.ASTable != filepath.Join(dir, "networks") || c.State != filepath.Join(dir, "state") || c.Network != filepath.Join(dir, "n.toml") {
		t.Errorf("read as %+v", c)
	}
	if state, err := node.StateOf(path); err != nil || !strings.HasSuffix(state, "state") {
		t.Errorf("state directory %q, %v", state, err)
	}
}
