package exit

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func TestCacheKeepsForAboutTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache()
		q := question{"www.example", dns.TypeA}
		c.put(q, result{ttl: time.Hour}, time.Now())
		time.Sleep(44 * time.Minute)
		if _, ok := c.get(q, time.Now()); !ok {
			t.Error("gone before three quarters of its time")
		}
		time.Sleep(17 * time.Minute)
		if _, ok := c.get(q, time.Now()); ok {
			t.Error("still there after its time")
		}
		c.put(q, result{ttl: minAbsence, err: errAbsent}, time.Now())
		time.Sleep(minAbsence - time.Millisecond)
		if _, ok := c.get(q, time.Now()); !ok {
			t.Error("an absence is forgotten at once")
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache()
	for i := range cacheSize + 100 {
		c.put(question{strconv.Itoa(i), dns.TypeA}, result{ttl: time.Hour}, time.Now())
	}
	if n := c.entries.Len(); n != cacheSize {
		t.Errorf("%d entries, want %d", n, cacheSize)
	}
}

func TestAbsenceTTL(t *testing.T) {
	soa := func(ttl, minimum uint32) *dns.Msg {
		return &dns.Msg{Ns: []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Ttl: ttl}, Minttl: minimum}}}
	}
	rows := []struct {
		m    *dns.Msg
		want time.Duration
	}{
		{&dns.Msg{}, defaultAbsence},
		{soa(20, 90), 20 * time.Second},
		{soa(90, 20), 20 * time.Second},
		{soa(0, 0), minAbsence},
		{soa(86400, 86400), maxAbsence},
	}
	for _, row := range rows {
		if got := absenceTTL(row.m); got != row.want {
			t.Errorf("absenceTTL(%v) = %v, want %v", row.m.Ns, got, row.want)
		}
	}
}

func TestResolverFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(text string, stamp time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Unix(1_800_000_000, 0)
	s := &servers{path: path}
	if got := s.current(now); got != nil {
		t.Errorf("without a file: %v", got)
	}
	write("search example\nnameserver 192.0.2.1\nnameserver not-an-address\nnameserver 2001:db8::1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n", now)
	now = now.Add(recheckAfter)
	if got := s.current(now); len(got) != maxServers || got[0].String() != "192.0.2.1:53" || got[1].String() != "[2001:db8::1]:53" {
		t.Errorf("servers %v", got)
	}
	write("nameserver 192.0.2.9\n", now.Add(time.Second))
	if got := s.current(now.Add(time.Second)); len(got) != maxServers {
		t.Errorf("read again at once: %v", got)
	}
	now = now.Add(2 * recheckAfter)
	if got := s.current(now); len(got) != 1 || got[0].String() != "192.0.2.9:53" {
		t.Errorf("after a change: %v", got)
	}
	os.Remove(path)
	now = now.Add(2 * recheckAfter)
	if got := s.current(now); len(got) != 1 {
		t.Errorf("while the file is away: %v", got)
	}
}
