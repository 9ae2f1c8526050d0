// Package socket reads from TCP sockets without a buffer held while it waits:
// whoever has thousands of idle connections takes one only when there is
// something to read. It knows system calls and nothing of what is read.
//
// On systems without it, [Raw] returns nil and callers wait inside Read.
package socket
