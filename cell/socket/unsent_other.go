//go:build !linux && !darwin

package socket

// LimitUnsent does nothing where the system has no TCP_NOTSENT_LOWAT.
func LimitUnsent(any, int) {}
