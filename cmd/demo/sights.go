package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tunic/cmd/localnet"
	"tunic/cmd/node"
)

// A hop is one relay of the circuit in use.
type hop struct{ name, address string }

// A route is the hops of a circuit, the guard first.
type route []hop

func (r route) String() string {
	var names []string
	for _, h := range r {
		names = append(names, h.name)
	}
	return strings.Join(names, " > ")
}

// beside reports whether two relays are neighbours on the route.
func (r route) beside(a, b string) bool {
	for i := 1; i < len(r); i++ {
		if r[i-1].name == a && r[i].name == b || r[i-1].name == b && r[i].name == a {
			return true
		}
	}
	return false
}

func (r route) has(name string) bool {
	return slices.ContainsFunc(r, func(h hop) bool { return h.name == name })
}

// path returns the route of the stream that is held open.
func (t *tour) path(ctx context.Context) (route, error) {
	s, err := node.Ask(ctx, t.net.Node("client1").State())
	if err != nil {
		return nil, err
	}
	for _, c := range s.Client.Circuits {
		if c.Streams == 0 || len(c.Hops) != 3 {
			continue
		}
		var r route
		for _, h := range c.Hops {
			r = append(r, hop{h.Nickname, h.Addrs[0].Addr().String()})
		}
		return r, nil
	}
	return nil, errors.New("the client has no circuit of three hops with a stream on it")
}

// A sight is what one relay knows: it asks the relay itself, whose operator
// here lets it show addresses.
type sight struct {
	clients []string // addresses of peers with circuits that are no relays
	relays  []string // names of relays beside it on the route
	others  []string // and of those that only other circuits came by or went to
	targets []string // destinations of open streams
}

func (t *tour) look(ctx context.Context, name string, on route) (sight, error) {
	var v sight
	s, err := node.Ask(ctx, t.net.Node(name).State())
	if err != nil {
		return v, err
	}
	for _, p := range s.Relay.Peers {
		switch {
		case p.Circuits == 0:
		case !p.Proven && !p.Dialled:
			v.clients = append(v.clients, p.Address.String())
		default:
			peer := t.nameOf(p.Address.String(), p.ID.String())
			if on.beside(name, peer) {
				v.relays = append(v.relays, peer)
			} else {
				v.others = append(v.others, peer)
			}
		}
	}
	slices.Sort(v.relays)
	slices.Sort(v.others)
	v.targets = slices.Compact(s.Relay.Destinations) // sorted
	return v, nil
}

// nameOf returns the name of the node with an identity, as the client knows it.
func (t *tour) nameOf(address, id string) string {
	for _, n := range t.net.Nodes {
		if n.Role == localnet.Relay && t.ids[n.Name] == id {
			return n.Name
		}
	}
	return address
}

// showSights prints the circuit and what each of its relays could see, and
// fails if one of them could see both ends.
func (t *tour) showSights(ctx context.Context) error {
	r, err := t.path(ctx)
	if err != nil {
		return err
	}
	if err := t.learnNames(ctx); err != nil {
		return err
	}
	t.Line("\n  you ══▶ %s ══▶ %s ══▶ %s ──▶ site", r[0].name, r[1].name, r[2].name)
	for i, role := range []string{"guard ", "middle", "exit  "} {
		v, err := t.look(ctx, r[i].name, r)
		if err != nil {
			return err
		}
		t.Line("  %s  %-7s %-10s saw %s", role, r[i].name, r[i].address, v)
		if err := v.check(role, i); err != nil {
			return err
		}
	}
	return nil
}

func (v sight) String() string {
	var seen []string
	for _, c := range v.clients {
		seen = append(seen, "the client, at "+c)
	}
	seen = append(seen, v.relays...)
	for _, d := range v.targets {
		seen = append(seen, "the destination, "+d)
	}
	s := strings.Join(seen, " and ")
	switch {
	case len(v.clients) == 0 && len(v.targets) == 0:
		s += "; neither the client nor the destination"
	case len(v.clients) == 0:
		s += "; not the client"
	case len(v.targets) == 0:
		s += "; not the destination"
	}
	if len(v.others) > 0 {
		s += "; " + strings.Join(v.others, ", ") + " for other circuits"
	}
	return s
}

// check fails where a relay saw what its place must not see, or did not see
// what it must.
func (v sight) check(role string, i int) error {
	role = strings.TrimSpace(role)
	switch {
	case i > 0 && len(v.clients) > 0:
		return fmt.Errorf("the %s saw the client's address", role)
	case i < 2 && len(v.targets) > 0:
		return fmt.Errorf("the %s saw the destination", role)
	case i == 0 && len(v.clients) == 0:
		return errors.New("the guard did not see the client: the relays' status is incomplete")
	case i == 2 && len(v.targets) == 0:
		return errors.New("the exit did not see the destination: the relays' status is incomplete")
	}
	return nil
}

// learnNames asks every relay for its identity.
func (t *tour) learnNames(ctx context.Context) error {
	if t.ids != nil {
		return nil
	}
	t.ids = map[string]string{}
	for _, n := range t.net.Nodes {
		if n.Role != localnet.Relay {
			continue
		}
		s, err := node.Ask(ctx, n.State())
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
		t.ids[n.Name] = s.Relay.ID.String()
	}
	return nil
}
