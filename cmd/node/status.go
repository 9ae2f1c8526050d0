package node

import (
	"os"
	"time"

	"tunic/client"
	"tunic/directory"
	"tunic/directory/authority"
	"tunic/relay"
)

// A Status is what a node says of itself on its control socket. Exactly one of
// the last three is set for a client and a relay; an authority has two, since it
// is also a relay that carries no circuits of strangers.
type Status struct {
	Role    string    `json:"role"` // client, relay or authority
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Network string    `json:"network"`
	// Authorities are the names that the network file gives, by identity.
	Authorities map[string]string `json:"authorities"`

	Client    *client.Status    `json:"client,omitempty"`
	Relay     *relay.Status     `json:"relay,omitempty"`
	Authority *authority.Status `json:"authority,omitempty"`
}

// An Event is a step of a node on its way to work.
type Event struct {
	Phase   string `json:"phase"`   // one word
	Percent int    `json:"percent"` // of the way to ready
	Message string `json:"message"` // for people
	Ready   bool   `json:"ready"`
	Socks   string `json:"socks,omitempty"` // the proxy's address, once it listens
}

func newStatus(role string, n *directory.Network) Status {
	names := make(map[string]string, len(n.Authorities))
	for i := range n.Authorities {
		names[n.Authorities[i].ID.String()] = n.Authorities[i].Name
	}
	return Status{Role: role, PID: os.Getpid(), Started: time.Now(), Network: n.Name, Authorities: names}
}
