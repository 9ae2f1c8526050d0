package exit

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
)

// A try is one attempt of a race: when it began, and where it went.
type try struct {
	after time.Duration
	addr  string
}

// course is what a race found on its way: how long each address takes, and what
// comes of it. An address that is not there never answers.
type course map[string]struct {
	takes time.Duration
	err   error
}

// runRace runs a race over lookups that answer after some time each, and returns
// its attempts, its outcome, and how long it took.
func runRace(t *testing.T, prefer6 bool, c course, lookups ...*flight) (tries []try, winner string, reason cell.EndReason, took time.Duration) {
	t.Helper()
	start := time.Now()
	began := make(chan try, 100)
	r := race{port: 80, prefer6: prefer6, allows: func(a netip.AddrPort) bool { return !strings.HasPrefix(a.Addr().String(), "10.") }}
	r.connect = func(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
		began <- try{time.Since(start), a.Addr().String()}
		way, ok := c[a.Addr().String()]
		if !ok {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		select {
		case <-time.After(way.takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if way.err != nil {
			return nil, way.err
		}
		near, far := net.Pipe()
		far.Close()
		return near, nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), dialTimeout)
	defer cancel()
	conn, reply, reason := r.run(ctx, lookups)
	took = time.Since(start)
	if conn != nil {
		conn.Close()
		winner = reply.Addr.String()
	}
	close(began)
	for b := range began {
		tries = append(tries, b)
	}
	return tries, winner, reason, took
}

// after returns a lookup that is over after d.
func after(d time.Duration, res result) *flight {
	f := &flight{done: make(chan struct{}), result: res}
	time.AfterFunc(d, func() { close(f.done) })
	return f
}

func TestRace(t *testing.T) {
	const ms = time.Millisecond
	four := result{addrs: addrs("192.0.2.1", "192.0.2.2"), ttl: time.Minute}
	six := result{addrs: addrs("2001:db8::1", "2001:db8::2"), ttl: time.Minute}
	rows := []struct {
		name    string
		prefer6 bool
		course  course
		lookups func() []*flight
		tries   []try
		winner  string
		reason  cell.EndReason
		took    time.Duration
	}{
		{name: "the first answers", course: course{"192.0.2.1": {takes: 20 * ms}},
			lookups: func() []*flight { return []*flight{after(5*ms, four), after(5*ms, six)} },
			tries:   []try{{5 * ms, "192.0.2.1"}}, winner: "192.0.2.1", took: 25 * ms},
		{name: "families in turns", course: course{"192.0.2.2": {takes: 20 * ms}},
			lookups: func() []*flight { return []*flight{after(0, four), after(0, six)} },
			tries:   []try{{0, "192.0.2.1"}, {250 * ms, "2001:db8::1"}, {500 * ms, "192.0.2.2"}}, winner: "192.0.2.2", took: 520 * ms},
		{name: "IPv6 first where asked for", prefer6: true, course: course{"192.0.2.1": {takes: 20 * ms}},
			lookups: func() []*flight { return []*flight{after(0, four), after(0, six)} },
			tries:   []try{{0, "2001:db8::1"}, {250 * ms, "192.0.2.1"}}, winner: "192.0.2.1", took: 270 * ms},
		{name: "a failure lets the next begin", course: course{"192.0.2.1": {takes: 30 * ms, err: refusedErrors[0]}, "192.0.2.2": {takes: 10 * ms}},
			lookups: func() []*flight { return []*flight{after(0, four)} },
			tries:   []try{{0, "192.0.2.1"}, {30 * ms, "192.0.2.2"}}, winner: "192.0.2.2", took: 40 * ms},
		{name: "a slow one still wins", course: course{"192.0.2.1": {takes: 400 * ms}},
			lookups: func() []*flight { return []*flight{after(0, four)} },
			tries:   []try{{0, "192.0.2.1"}, {250 * ms, "192.0.2.2"}}, winner: "192.0.2.1", took: 400 * ms},
		{name: "the preferred family is waited for, a little", prefer6: true, course: course{"2001:db8::1": {}},
			lookups: func() []*flight { return []*flight{after(0, four), after(40*ms, six)} },
			tries:   []try{{40 * ms, "2001:db8::1"}}, winner: "2001:db8::1", took: 40 * ms},
		{name: "but not for long", prefer6: true, course: course{"192.0.2.1": {}},
			lookups: func() []*flight { return []*flight{after(0, four), after(time.Second, six)} },
			tries:   []try{{50 * ms, "192.0.2.1"}}, winner: "192.0.2.1", took: 50 * ms},
		{name: "a late family helps out", course: course{"192.0.2.1": {takes: 10 * ms, err: refusedErrors[0]}, "192.0.2.2": {takes: 10 * ms, err: refusedErrors[0]}, "2001:db8::1": {}},
			lookups: func() []*flight { return []*flight{after(0, four), after(time.Second, six)} },
			tries:   []try{{0, "192.0.2.1"}, {10 * ms, "192.0.2.2"}, {time.Second, "2001:db8::1"}}, winner: "2001:db8::1", took: time.Second},
		{name: "six attempts at most", reason: cell.EndRefused, took: 60 * ms,
			course: course{"192.0.2.1": {10 * ms, refusedErrors[0]}, "192.0.2.2": {10 * ms, refusedErrors[0]}, "192.0.2.3": {10 * ms, refusedErrors[0]},
				"192.0.2.4": {10 * ms, refusedErrors[0]}, "192.0.2.5": {10 * ms, refusedErrors[0]}, "192.0.2.6": {10 * ms, refusedErrors[0]}},
			lookups: func() []*flight {
				return []*flight{after(0, result{addrs: addrs("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8")})}
			},
			tries: []try{{0, "192.0.2.1"}, {10 * ms, "192.0.2.2"}, {20 * ms, "192.0.2.3"}, {30 * ms, "192.0.2.4"}, {40 * ms, "192.0.2.5"}, {50 * ms, "192.0.2.6"}}},
		{name: "nobody answers", reason: cell.EndTimeout, took: dialTimeout, course: course{},
			lookups: func() []*flight { return []*flight{after(0, result{addrs: addrs("192.0.2.1")})} },
			tries:   []try{{0, "192.0.2.1"}}},
		{name: "forbidden ones are left out", course: course{"192.0.2.1": {}},
			lookups: func() []*flight { return []*flight{after(0, result{addrs: addrs("10.0.0.1", "192.0.2.1")})} },
			tries:   []try{{0, "192.0.2.1"}}, winner: "192.0.2.1"},
		{name: "all forbidden", reason: cell.EndPolicy, course: course{},
			lookups: func() []*flight {
				return []*flight{after(0, result{addrs: addrs("10.0.0.1")}), after(10*ms, result{err: errAbsent})}
			}, took: 10 * ms},
		{name: "nothing found", reason: cell.EndResolve, course: course{},
			lookups: func() []*flight {
				return []*flight{after(0, result{err: errAbsent}), after(10*ms, result{err: errUnavailable})}
			}, took: 10 * ms},
		{name: "too busy to look", reason: cell.EndResource, course: course{},
			lookups: func() []*flight { return []*flight{landed(result{err: errBusy}), landed(result{err: errBusy})} }},
		{name: "no lookup answers", reason: cell.EndResolve, course: course{}, took: dialTimeout,
			lookups: func() []*flight { return []*flight{{done: make(chan struct{})}} }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries, winner, reason, took := runRace(t, row.prefer6, row.course, row.lookups()...)
				if !slices.Equal(tries, row.tries) {
					t.Errorf("tried %v, want %v", tries, row.tries)
				}
				if winner != row.winner || reason != row.reason || took != row.took {
					t.Errorf("%q, %v after %v; want %q, %v after %v", winner, reason, took, row.winner, row.reason, row.took)
				}
			})
		})
	}
}
