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
		c := benchCircuit(b, func(s *circuit.Stream) { s.ReadFrom(endless{}) })
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
		c := benchCircuit(b, func(s *circuit.Stream) { s.WriteTo(io.Discard) })
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
	c := benchCircuit(b, func(s *circuit.Stream) { s.ReadFrom(source) })
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

// benchCircuit builds a circuit whose exit treats every stream with serve.
func benchCircuit(b *testing.B, serve func(*circuit.Stream)) *circuit.Circuit {
	nw := newNetwork(b, 3)
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
