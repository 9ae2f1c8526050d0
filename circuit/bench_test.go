package circuit_test

import (
	"context"
	"io"
	"net"
	"testing"

	"tunic/circuit"
)

// BenchmarkThreeHops is the throughput of one stream over a circuit of three
// hops with all nodes in this process, over loopback links.
func BenchmarkThreeHops(b *testing.B) {
	b.Run("down", func(b *testing.B) {
		c := serveCircuit(b, func(s *circuit.Stream) { s.ReadFrom(endless{}) })
		s, err := c.Dial(context.Background(), "any", 1, 0)
		if err != nil {
			b.Fatal(err)
		}
		buf := make([]byte, 64<<10)
		b.SetBytes(int64(len(buf)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := io.ReadFull(s, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("up", func(b *testing.B) {
		c := serveCircuit(b, func(s *circuit.Stream) { s.WriteTo(io.Discard) })
		s, err := c.Dial(context.Background(), "any", 1, 0)
		if err != nil {
			b.Fatal(err)
		}
		buf := make([]byte, 64<<10)
		b.SetBytes(int64(len(buf)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Write(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sockets", benchSockets)
	b.Run("eight streams", func(b *testing.B) { benchStreams(b, 8, 1) })
	b.Run("eight circuits", func(b *testing.B) { benchStreams(b, 1, 8) })
}

// benchStreams is the way down for several streams on each of several circuits, in
// turns as fast as they come.
func benchStreams(b *testing.B, streams, circuits int) {
	cl := newClient(newNetwork(b, 3))
	chunks := make(chan struct{}) // of 64 KiB, that any stream has read
	for range circuits {
		for _, s := range downloads(b, cl.build(3), streams) {
			go func() {
				buf := make([]byte, 64<<10)
				for {
					if _, err := io.ReadFull(s, buf); err != nil {
						return
					}
					select {
					case chunks <- struct{}{}:
					case <-s.Done():
						return
					}
				}
			}()
		}
	}
	b.SetBytes(64 << 10)
	b.ReportAllocs()
	for b.Loop() {
		<-chunks
	}
}

// benchSockets is the way down with a socket at both ends, as at an exit and a
// client with an application.
func benchSockets(b *testing.B) {
	source, sourceFar := socketPair(b)
	sink, sinkFar := socketPair(b)
	go func() {
		buf := make([]byte, 64<<10)
		for {
			if _, err := sourceFar.Write(buf); err != nil {
				return
			}
		}
	}()
	c := serveCircuit(b, func(s *circuit.Stream) { s.ReadFrom(source) })
	s, err := c.Dial(context.Background(), "any", 1, 0)
	if err != nil {
		b.Fatal(err)
	}
	go s.WriteTo(sinkFar)
	buf := make([]byte, 64<<10)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.ReadFull(sink, buf); err != nil {
			b.Fatal(err)
		}
	}
	source.Close()
	sinkFar.Close()
}

// downloads opens streams from a source without end.
func downloads(b *testing.B, c *circuit.Circuit, streams int) (all []*circuit.Stream) {
	for range streams {
		s, err := c.Dial(context.Background(), "endless", 1, 0)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// serveCircuit builds a circuit whose exit treats streams to "any" with serve.
func serveCircuit(tb testing.TB, serve func(*circuit.Stream)) *circuit.Circuit {
	nw := newNetwork(tb, 3)
	nw.relays[2].serveAny(serve)
	return newClient(nw).build(3)
}

// socketPair returns the two ends of a TCP connection.
func socketPair(b *testing.B) (near, far net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	near, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	far, err = ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		near.Close()
		far.Close()
	})
	return near, far
}
