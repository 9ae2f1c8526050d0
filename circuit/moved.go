package circuit

// Moved returns how many bytes the stream has carried: those that its user has
// had it send, and those that it has handed to its user. Who watches it from time
// to time sees whether the stream is idle, without standing between it and a
// socket.
func (s *Stream) Moved() (sent, delivered int64) {
	s.mu.Lock()
	delivered = s.rx.buf.total - int64(s.unread())
	s.mu.Unlock()
	s.end.tx.mu.Lock()
	defer s.end.tx.mu.Unlock()
	return s.tx.flow.sent, delivered
}
