package node

import "github.com/coreos/go-systemd/v22/daemon"

// The service manager hears when the node is ready, reloads and stops. Outside
// systemd these calls do nothing.

func notifyReady(message string) {
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady+"\nSTATUS="+message)
}

func notifyStopping() { _, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) }
