// Package localnet runs a whole network on this machine: authorities, relays
// and clients, each a process of its own (demo, testnet) or all in this one
// (benchmarks, tests, also of embedders). It writes their keys, configuration
// files and network file below one directory, starts them, and says when a
// client is ready. What the nodes do is package node's.
package localnet

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"
)

// A Role says what a node is.
type Role string

// The roles.
const (
	Authority Role = "authority"
	Relay     Role = "relay"
	Client    Role = "client"
)

// A Node is a node of the network, as nodes.json lists it.
type Node struct {
	Name  string `json:"name"`
	Role  Role   `json:"role"`
	Dir   string `json:"dir"`
	PID   int    `json:"pid"`   // 0 where all nodes run in this process
	Socks string `json:"socks"` // a client's proxy, 127.0.0.1:port; else empty

	listen netip.AddrPort
	exit   bool
}

// State returns the node's state directory.
func (n *Node) State() string { return filepath.Join(n.Dir, "state") }

// Config returns the node's configuration file.
func (n *Node) Config() string { return filepath.Join(n.Dir, string(n.Role)+".toml") }

// Log returns the file that the node's log goes to.
func (n *Node) Log() string { return filepath.Join(n.Dir, "log") }

// A Plan says what the network consists of.
type Plan struct {
	Dir         string // all files go below it; it must be empty or not there
	Name        string // of the network; "testnet" if empty
	Authorities int
	Relays      int
	Exits       int // of the relays; 0 means half of them, rounded up
	Clients     int
	Socks       uint16 // the first client's port; 0 takes any free one
	// Addresses allows the nodes to show addresses in their logs and status.
	Addresses bool
	LogLevel  string // of the nodes; "info" if empty
	MaxMemory int64  // max_queue_memory of each node; 0 for its default
	// OneAddress puts all nodes on 127.0.0.1, as where no other address of
	// loopback answers. The network's file then relaxes the rule that no two
	// relays of a circuit are in one /16.
	OneAddress bool
	// Rounds is how many short periods the network begins with, before those of a
	// minute; 0 takes ten. Each lasts Round, a second if that is 0, of which the
	// votes and signatures take the same part whatever it lasts.
	Rounds int
	Round  time.Duration
	// Resolvers are the name servers of each relay, by its name; those that are
	// not listed use the machine's.
	Resolvers map[string][]netip.AddrPort
}

// bounds of a network on one machine: our choice, so that it fits into memory
// and into the addresses 127.x.y.1.
const (
	maxAuthorities = 21
	maxRelays      = 200
	maxClients     = 50
)

func (p *Plan) check() error {
	if p.Exits == 0 {
		p.Exits = (p.Relays + 1) / 2
	}
	if p.Name == "" {
		p.Name = "testnet"
	}
	if p.LogLevel == "" {
		p.LogLevel = "info"
	}
	switch {
	case p.Dir == "":
		return errors.New("no directory for the network")
	case p.Authorities < 1 || p.Authorities > maxAuthorities:
		return fmt.Errorf("%d authorities: use 1 to %d", p.Authorities, maxAuthorities)
	case p.Relays < 3 || p.Relays > maxRelays:
		return fmt.Errorf("%d relays: a circuit needs 3; use 3 to %d", p.Relays, maxRelays)
	case p.Exits < 1 || p.Exits > p.Relays:
		return fmt.Errorf("%d exits of %d relays: use 1 to %d", p.Exits, p.Relays, p.Relays)
	case p.Clients < 0 || p.Clients > maxClients:
		return fmt.Errorf("%d clients: use 0 to %d", p.Clients, maxClients)
	}
	return nil
}
