//go:build !unix

package localnet

import (
	"context"

	"tunic/cmd/node"
)

// runs reports whether the node answers on its control socket.
func runs(n *Node) bool {
	_, err := node.Ask(context.Background(), n.State())
	return err == nil
}
