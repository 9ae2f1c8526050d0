package detect_test

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"tunic/directory/admission"
	"tunic/directory/admission/detect"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

var start = time.Date(2031, 3, 1, 12, 0, 0, 0, time.UTC)

func defaults() *rules.Rules { return rules.Of(nil, nil, 0, 0) }

// id is an identity that depends on the name alone.
func id(name string) keys.RelayID { return sha256.Sum256([]byte(name)) }

// plain returns a relay as the program makes them by default.
func plain(name, addr string, seen time.Time) detect.Subject {
	return detect.Subject{
		Relay: admission.Relay{ID: id(name), Addrs: []netip.Addr{netip.MustParseAddr(addr)}},
		Seen:  seen, Nickname: name, Version: "tunic 1.0 on linux", Policy: "reject *:*", Port: 9001,
	}
}

// founders returns five relays in different /16s.
func founders() []detect.Subject {
	var list []detect.Subject
	for i, name := range []string{"anna", "ben", "carl", "dora", "emil"} {
		list = append(list, plain(name, fmt.Sprintf("20.%d.7.9", 10+i), start))
	}
	return list
}

// crowd returns n relays of one /24.
func crowd(n int, seen time.Time) []detect.Subject {
	var list []detect.Subject
	for i := range n {
		list = append(list, plain(fmt.Sprintf("guest%d", i), fmt.Sprintf("50.60.70.%d", 1+i), seen.Add(time.Duration(i)*3*time.Second).Truncate(time.Minute)))
	}
	return list
}

func TestYoungNetwork(t *testing.T) {
	const month = 30 * 24 * time.Hour
	scattered := func(n int, seen time.Time) []detect.Subject {
		var list []detect.Subject
		for i := range n {
			list = append(list, plain(fmt.Sprintf("host%d", i), fmt.Sprintf("%d.%d.3.4", 60+i, 7*i), seen))
		}
		return list
	}
	for _, c := range []struct {
		name  string
		more  []detect.Subject
		at    time.Duration // of the run
		group int
	}{
		{"a crowd from one /24 with the founders", crowd(20, start.Add(2*time.Second)), time.Hour, 20},
		{"a crowd from one /24 a month later", crowd(20, start.Add(month)), month + time.Hour, 20},
		{"as many honest founders", scattered(20, start), time.Hour, 0},
		{"three relays later", scattered(3, start.Add(month)), month + time.Hour, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := detect.New(detect.Config{Usable: start.Add(time.Minute)})
			groups := d.Run(append(founders(), c.more...), start.Add(c.at), defaults())
			if c.group == 0 {
				if len(groups) != 0 {
					t.Fatalf("groups: %+v", groups)
				}
				return
			}
			if len(groups) != 1 || len(groups[0].Members) != c.group {
				t.Fatalf("got %+v, want one group of %d", groups, c.group)
			}
			t.Log(groups[0].Code, groups[0].Why, groups[0].Millibits)
			guests := map[keys.RelayID]bool{}
			for _, s := range c.more {
				guests[s.ID] = true
			}
			for _, m := range groups[0].Members {
				if !guests[m] {
					t.Errorf("%x is no guest", m[:4])
				}
			}
		})
	}
}
