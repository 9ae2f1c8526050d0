package localnet

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/pelletier/go-toml/v2"

	"tunic/cmd/node"
	"tunic/directory"
	"tunic/directory/keys"
)

// write makes the directories, keys, configuration files and, last, the network
// file, whose timeline begins when it is written.
func write(plan Plan) (*Network, error) {
	n := &Network{Plan: plan}
	if err := os.MkdirAll(plan.Dir, 0o700); err != nil {
		return nil, err
	}
	own := !plan.OneAddress && ownAddresses()
	for i := range plan.Authorities {
		n.add(Authority, i, own, maxRelays+1+i)
	}
	for i := range plan.Relays {
		// The last ones are the exits.
		n.add(Relay, i, own, 1+i).exit = i >= plan.Relays-plan.Exits
	}
	for i := range plan.Clients {
		n.add(Client, i, false, 0)
	}
	for _, node := range n.Nodes {
		if err := n.prepare(node); err != nil {
			return nil, fmt.Errorf("%s: %w", node.Name, err)
		}
	}
	if err := n.save(); err != nil {
		return nil, err
	}
	return n, n.writeNetworkFile(!own)
}

// add adds the i-th node of a role, on 127.x.0.1 where each relay has a /16 of
// its own.
func (n *Network) add(role Role, i int, own bool, x int) *Node {
	short := map[Role]string{Authority: "auth", Relay: "relay", Client: "client"}[role]
	node := &Node{Name: fmt.Sprintf("%s%d", short, i+1), Role: role}
	node.Dir = filepath.Join(n.Plan.Dir, node.Name)
	a := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if own {
		a = netip.AddrFrom4([4]byte{127, byte(x), 0, 1})
	}
	node.listen = netip.AddrPortFrom(a, 0)
	if role == Client && i == 0 {
		node.listen = netip.AddrPortFrom(a, n.Plan.Socks)
	}
	n.Nodes = append(n.Nodes, node)
	return node
}

// ownAddresses reports whether every address of 127.0.0.0/8 answers here, as on
// Linux; macOS knows 127.0.0.1 alone.
func ownAddresses() bool {
	ln, err := net.Listen("tcp", "127.201.0.1:0")
	if err != nil {
		return false
	}
	ln.Close()
	return true
}

// prepare writes the directory of one node, and picks its port.
func (n *Network) prepare(nd *Node) error {
	if err := os.MkdirAll(nd.State(), 0o700); err != nil {
		return err
	}
	common := node.Common{
		Network: filepath.Join("..", networkFile),
		State:   "state", MaxQueueMemory: n.Plan.MaxMemory,
		Log: node.Log{Format: "text", Level: n.Plan.LogLevel, Addresses: n.Plan.Addresses},
	}
	var err error
	if nd.Role != Client {
		if nd.listen, err = freePort(nd.listen.Addr()); err != nil {
			return err
		}
	}
	listen := []netip.AddrPort{nd.listen}
	var cfg any
	switch nd.Role {
	case Authority:
		cfg = node.AuthorityConfig{Common: common, Nickname: nd.Name, Listen: listen}
	case Relay:
		r := node.RelayConfig{Common: common, Nickname: nd.Name, Listen: listen, Address: listen, Resolvers: n.Plan.Resolvers[nd.Name]}
		if nd.exit {
			r.ExitPolicy = []string{"accept *:*"}
		}
		cfg = r
	case Client:
		cfg = node.ClientConfig{Common: common, Socks: node.Socks{Listen: listen}}
	}
	b, err := toml.Marshal(cfg)
	if err != nil {
		return err
	}
	return os.WriteFile(nd.Config(), b, 0o600)
}

// freePort returns a port of a that nobody listens on. Somebody may take it
// before the node does, which then says so.
func freePort(a netip.Addr) (netip.AddrPort, error) {
	ln, err := net.Listen("tcp", netip.AddrPortFrom(a, 0).String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).AddrPort(), nil
}

// writeNetworkFile makes the authorities' keys and the network file.
func (n *Network) writeNetworkFile(sameSubnet bool) error {
	f := &directory.Network{Name: n.Plan.Name, PrivateAddresses: true, SameSubnet: sameSubnet}
	for _, nd := range n.Nodes {
		if nd.Role != Authority {
			continue
		}
		set, err := keys.LoadOrCreateAuthority(node.KeyDir(nd.State()), time.Now())
		if err != nil {
			return fmt.Errorf("%s: %w", nd.Name, err)
		}
		f.Authorities = append(f.Authorities, node.AuthorityEntry(set, nd.Name, []netip.AddrPort{nd.listen}))
	}
	f.Timing = directory.TestTiming(time.Now())
	if n.Plan.Rounds > 0 {
		f.Timing.InitialRounds = n.Plan.Rounds
	}
	if round := n.Plan.Round; round > 0 {
		t := &f.Timing
		t.VoteRound = (t.VoteRound * round / t.InitialPeriod).Round(time.Millisecond)
		t.SignTime = (t.SignTime * round / t.InitialPeriod).Round(time.Millisecond)
		t.InitialPeriod = round
	}
	b, err := f.Encode()
	if err != nil {
		return err
	}
	n.File = f
	return os.WriteFile(filepath.Join(n.Plan.Dir, networkFile), b, 0o600)
}
