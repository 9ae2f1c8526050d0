package authority

import (
	"fmt"
	"testing"

	"tunic/directory"
	"tunic/directory/directorytest"
)

// BenchmarkTally computes the consensus of a network of Tor's size.
func BenchmarkTally(b *testing.B) {
	const authorities, relays = 9, 8000
	n := directorytest.New(authorities)
	listed := n.Relays(relays)
	var votes []*directory.Vote
	for i := range authorities {
		votes = append(votes, ballotOf(b, n, i, listed))
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := Tally(n.Network, n.Round(0), votes)
		if err != nil || len(r.Consensus.Relays) != relays {
			b.Fatal(err)
		}
	}
}

// BenchmarkEntries decides what to say of each relay.
func BenchmarkEntries(b *testing.B) {
	for _, relays := range []int{100, 8000} {
		b.Run(fmt.Sprint(relays), func(b *testing.B) {
			n := directorytest.New(1)
			g := testRegistry(n, epoch)
			for i := range relays {
				g.tokens = newBurst
				if _, err := upload(b, g, n.NewRelay(i, epoch), epoch); err != nil {
					b.Fatal(err)
				}
			}
			takeAll(g, epoch, always)
			b.ReportAllocs()
			for b.Loop() {
				if len(g.entries(epoch, n.Round(0).ValidAfter)) != relays {
					b.Fatal("relays are missing")
				}
			}
		})
	}
}
