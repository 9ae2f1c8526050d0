package onion

import "testing"

// layerOps are the operations, each as it runs for cells of other hops or, where
// an end originates, for its own.
var layerOps = map[string]func(s *State, body []byte){
	"RelayOutward":    func(s *State, body []byte) { s.RelayOutward(3, body) },
	"RelayInward":     func(s *State, body []byte) { s.RelayInward(3, body) },
	"RelayOriginate":  func(s *State, body []byte) { s.RelayOriginate(3, body) },
	"ClientOriginate": func(s *State, body []byte) { s.ClientOriginate(3, body) },
	"ClientOutward":   func(s *State, body []byte) { s.ClientOutward(3, body) },
	"ClientInward":    func(s *State, body []byte) { s.ClientInward(3, body) },
}

// One layer each way; for the two that originate the renewals are included.
func BenchmarkLayer(b *testing.B) {
	for _, name := range []string{"RelayOutward", "RelayInward", "RelayOriginate", "ClientOriginate", "ClientOutward", "ClientInward"} {
		op := layerOps[name]
		b.Run(name, func(b *testing.B) {
			s, body := NewState(&Key{1}), newBody(nil)
			b.ReportAllocs()
			b.SetBytes(BodySize)
			for b.Loop() {
				op(&s, body)
			}
		})
	}
}

// A cell for the relay itself: the client seals, the relay recognises.
func BenchmarkRecognised(b *testing.B) {
	k := Key{1}
	client, relay, body := NewState(&k), NewState(&k), newBody(nil)
	b.ReportAllocs()
	b.SetBytes(BodySize)
	for b.Loop() {
		client.ClientOriginate(3, body)
		if ok, _ := relay.RelayOutward(3, body); !ok {
			b.Fatal("not recognised")
		}
	}
}

// Waking: the key objects of one direction, and a cell.
func BenchmarkWake(b *testing.B) {
	s, body := NewState(&Key{1}), newBody(nil)
	b.ReportAllocs()
	for b.Loop() {
		s.RelayInward(3, body)
		s.Sleep()
	}
}
