package weigh_test

import (
	"bufio"
	"compress/gzip"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
)

// A line is what the tests use of a relay of a real population.
type line struct {
	addr   netip.Addr
	flags  string
	weight uint64
}

// readTable reads one, or skips the test where there is none.
func readTable(t *testing.T, path string) []line {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Skip("no population here: ", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(z)
	s.Buffer(nil, 1<<20)
	s.Scan()
	column := map[string]int{}
	for i, name := range strings.Split(s.Text(), "\t") {
		column[name] = i
	}
	var all []line
	for s.Scan() {
		fields := strings.Split(s.Text(), "\t")
		weight, err := strconv.ParseUint(fields[column["weight"]], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, line{netip.MustParseAddr(fields[column["ipv4"]]), fields[column["flags"]], weight})
	}
	if s.Err() != nil || len(all) == 0 {
		t.Fatalf("%d relays: %v", len(all), s.Err())
	}
	return all
}
