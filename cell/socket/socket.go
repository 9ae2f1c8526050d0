// Package socket reads from TCP sockets without a buffer held while it waits, so
// that whoever has thousands of idle connections takes one only when there is
// something to read, writes to them without waiting, and bounds what the kernel keeps
// of that. It knows system calls and nothing of the bytes.
//
// On systems without it, [Raw] returns nil and callers wait inside Read and Write.
package socket
