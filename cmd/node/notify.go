package node

import (
	"context"
	"sync"

	"github.com/coreos/go-systemd/v22/daemon"
)

// The service manager hears how far the node is, when it is ready and when it
// stops. Outside systemd these calls do nothing.

func notify(e Event) {
	text := "STATUS=" + e.Message
	if e.Ready {
		text = daemon.SdNotifyReady + "\n" + text
	}
	_, _ = daemon.SdNotify(false, text)
}

// announceStop tells the service manager as soon as ctx ends. The function
// returned cancels ctx and waits until that is done.
func announceStop(ctx context.Context, cancel func()) (wait func()) {
	var told sync.WaitGroup
	told.Go(func() {
		<-ctx.Done()
		_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	})
	return func() { cancel(); told.Wait() }
}
