package hybrid

import "testing"

func BenchmarkHandshake(b *testing.B) {
	static := newStatic(b)
	b.ReportAllocs()
	for b.Loop() {
		p := newPair(b, static)
		m, _ := p.message2(b)
		if _, _, err := p.i.ReadMessage2(m); err != nil {
			b.Fatal(err)
		}
	}
}

// The responder's part up to where the caller asks its Replay.
func BenchmarkReadMessage1(b *testing.B) {
	static := newStatic(b)
	m := newPair(b, static).message1(b)
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewResponder(prologue, static)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.ReadMessage1(m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResponder(b *testing.B) {
	static := newStatic(b)
	m := newPair(b, static).message1(b)
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewResponder(prologue, static)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.ReadMessage1(m); err != nil {
			b.Fatal(err)
		}
		if _, _, err := r.Message2(nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealRecord(b *testing.B) {
	s, _ := newSessions(b)
	buf := make([]byte, 31*517, 31*517+TagSize)
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if _, err := s.Send.Seal(buf[:0], buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReplaySeen(b *testing.B) {
	r := NewReplay()
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		r.Seen(ephemeral(n))
	}
}
