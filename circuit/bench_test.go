package circuit_test

import (
	"context"
	"io"
	"net"
	"testing"

	"tunic/cell"
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
	nw := newNetwork(b, 3)
	exit := nw.relays[2]
	exit.begin = func(s *circuit.Stream, _ cell.BeginRequest) {
		exit.work.Go(func() {
			defer s.Close()
			if s.Connect(cell.ConnectedReply{}) == nil {
				s.ReadFrom(endless{})
			}
		})
	}
	cl := newClient(nw)
	chunks := make(chan struct{}) // of 64 KiB, that any stream has read
	for range circuits {
		c := cl.build(3)
		for range streams {
			s, err := c.Dial(context.Background(), "any", 1, 0)
			if err != nil {
				b.Fatal(err)
			}
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

// serveCircuit builds a circuit whose exit treats every stream with serve.
func serveCircuit(tb testing.TB, serve func(*circuit.Stream)) *circuit.Circuit {
	nw := newNetwork(tb, 3)
	exit := nw.relays[2]
	exit.begin = func(s *circuit.Stream, _ cell.BeginRequest) {
		exit.work.Go(func() {
			defer s.Close()
			if s.Connect(cell.ConnectedReply{}) == nil {
				serve(s)
			}
		})
	}
	return newClient(nw).build(3)
}

// endless is zeros without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

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
