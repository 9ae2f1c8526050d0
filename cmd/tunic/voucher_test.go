package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tunic/cmd/node"
	"tunic/directory/keys"
)

func TestVoucherReachesTheNewcomersKeys(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	set, err := keys.LoadOrCreate(node.KeyDir(state), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	family, voucher := filepath.Join(dir, "family.key"), filepath.Join(node.KeyDir(state), "voucher")
	name, err := call(t.Context(), "keys", "family", "create", "--key", family)
	if err != nil {
		t.Fatal(err)
	}
	relay := set.ID().String()
	if _, err := call(t.Context(), "keys", "voucher", "--key", family, "--relay", relay, "--days", "9", "--out", voucher); err != nil {
		t.Fatal(err)
	}
	set, err = keys.Load(node.KeyDir(state))
	if err != nil {
		t.Fatal(err)
	}
	c, ok := set.Voucher(time.Now())
	if until := time.Until(c.Expires); !ok || until < 8*24*time.Hour || until > 9*24*time.Hour {
		t.Errorf("a voucher: %v, for %v; made by %s", ok, until, name)
	}
	printed, err := call(t.Context(), "keys", "voucher", "--key", family, "--relay", relay)
	if err != nil || len(printed) != 196 {
		t.Errorf("prints %q, %v", printed, err)
	}
	for _, args := range [][]string{{"--relay", "x"}, {"--relay", relay, "--days", "0"}, {"--relay", relay, "--days", "4000"}} {
		if _, err := call(t.Context(), append([]string{"keys", "voucher", "--key", family}, args...)...); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	other, err := call(t.Context(), "keys", "voucher", "--key", family, "--relay", strings.Repeat("A", 42)+"A")
	if err == nil {
		err = os.WriteFile(voucher, []byte(other), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Load(node.KeyDir(state)); err == nil {
		t.Error("another relay's voucher is taken up")
	}
}
