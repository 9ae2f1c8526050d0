package authority

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/mirror"
)

// lie returns a vote of authority i for a round, signed by it; variant tells
// its different votes apart.
func (tn *testNet) lie(i int, round int64, variant int64) testVote {
	tn.t.Helper()
	key, cert := tn.sets[i].Signing()
	r := tn.Round(round)
	v := &directory.Vote{
		Network: tn.Digest(), Author: tn.sets[i].ID(), Signing: cert, ValidAfter: r.ValidAfter, Published: r.VotesLeave,
		Methods: Methods, Known: directory.AllFlags, Params: []directory.Param{{Name: "lie", Value: variant}},
	}
	doc, err := v.Sign(key)
	if err != nil {
		tn.t.Fatal(err)
	}
	return testVote{doc, v}
}

// tell sends a vote of authority i, with its signature alone, to another.
func (tn *testNet) tell(vote testVote, i, to int) error {
	tn.t.Helper()
	path := periodPath(pathVote, vote.v.ValidAfter)
	_, err := tn.client(to, i).Post(context.Background(), path, tn.envelopeOf(vote, i), maxAnswer)
	return err
}

// until sleeps so that what is sent then arrives at the given time.
func (tn *testNet) until(at time.Time) { time.Sleep(time.Until(at.Add(-tn.latency))) }

func (tn *testNet) evidence(i int) []os.DirEntry {
	tn.t.Helper()
	files, err := os.ReadDir(filepath.Join(tn.dir, "state"+string(rune('0'+i)), evidenceDir))
	if err != nil {
		tn.t.Fatal(err)
	}
	return files
}

func TestOneAuthorityDownChangesNothing(t *testing.T) {
	for name, failure := range map[string]error{"refuses": errCut, "is silent": errHole} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(tn *testNet) {
				tn.cut = func(_, to int) error {
					if to == 2 {
						return failure
					}
					return nil
				}
				tn.start(0)
				tn.start(1)
				tn.relays(4)
				for round := range int64(12) {
					b := tn.same(round, 0, 1)
					if got := len(b.Signed.Signers(tn.Network.Network)); got != 2 || len(b.Consensus.Relays) != 4 {
						tn.t.Errorf("round %d: %d signatures, %d relays", round, got, len(b.Consensus.Relays))
					}
				}
			})
		})
	}
}

func TestLargerNetworksBearAsManyFailuresAsTheyMust(t *testing.T) {
	for _, size := range []int{5, 7} {
		inBubble(t, size, func(tn *testNet) {
			dead := (size - 1) / 2
			var alive []int
			for i := dead; i < size; i++ {
				alive = append(alive, i)
				tn.start(i)
			}
			tn.cut = func(_, to int) error {
				if to < dead {
					return errHole
				}
				return nil
			}
			tn.relays(3)
			for round := range int64(4) {
				b := tn.same(round, alive...)
				if got := len(b.Signed.Signers(tn.Network.Network)); got != len(alive) {
					tn.t.Errorf("%d authorities, round %d: %d signatures", size, round, got)
				}
			}
		})
	}
}

func TestTwoVotesOfOneAuthority(t *testing.T) {
	const round = 1
	for _, tt := range []struct {
		name   string
		second func(r directory.Round) time.Time // when the second one arrives at authority 1
		votes  int                               // in the consensus
	}{
		{"at the start", func(r directory.Round) time.Time { return r.VotesLeave.Add(20 * time.Millisecond) }, 2},
		{"in the last millisecond of the first round", func(r directory.Round) time.Time { return r.VoteEnd(1).Add(-time.Millisecond) }, 2},
		{"in the last millisecond of the second round", func(r directory.Round) time.Time { return r.VoteEnd(2).Add(-time.Millisecond) }, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, 3, func(tn *testNet) {
				tn.start(0)
				tn.start(1)
				tn.relays(3)
				tn.same(0, 0, 1)
				r := tn.Round(round)
				tn.until(r.VotesLeave.Add(20 * time.Millisecond))
				if err := tn.tell(tn.lie(2, round, 1), 2, 0); err != nil {
					tn.t.Fatalf("first vote: %v", err)
				}
				tn.until(tt.second(r))
				if err := tn.tell(tn.lie(2, round, 2), 2, 1); (err == nil) != (tt.votes == 2) {
					tn.t.Errorf("second vote: %v", err)
				}
				b := tn.same(round, 0, 1)
				if len(b.Consensus.Votes) != tt.votes || len(b.Consensus.Relays) != 3 || len(b.Signed.Signers(tn.Network.Network)) != 2 {
					tn.t.Errorf("%d votes, %d relays", len(b.Consensus.Votes), len(b.Consensus.Relays))
				}
				for i := range 2 {
					if got, want := len(tn.evidence(i)), 2*(3-tt.votes); got != want {
						tn.t.Errorf("authority %d keeps %d votes as evidence, want %d", i, got, want)
					}
				}
				tn.same(round+1, 0, 1)
			})
		})
	}
}

func TestLateVote(t *testing.T) {
	const round = 1
	for name, tt := range map[string]struct {
		at    func(r directory.Round) time.Time
		votes int
	}{
		"in the last millisecond of the first round": {func(r directory.Round) time.Time { return r.VoteEnd(1).Add(-time.Millisecond) }, 3},
		"in the second round":                        {func(r directory.Round) time.Time { return r.VoteEnd(1).Add(time.Millisecond) }, 2},
		"when signatures are gathered":               {func(r directory.Round) time.Time { return r.Sign.Add(time.Millisecond) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(tn *testNet) {
				tn.start(0)
				tn.start(1)
				tn.same(0, 0, 1)
				tn.until(tt.at(tn.Round(round)))
				if err := tn.tell(tn.lie(2, round, 1), 2, 0); (err == nil) != (tt.votes == 3) {
					tn.t.Errorf("vote: %v", err)
				}
				if b := tn.same(round, 0, 1); len(b.Consensus.Votes) != tt.votes {
					tn.t.Errorf("%d votes, want %d", len(b.Consensus.Votes), tt.votes)
				}
			})
		})
	}
}

func TestSignatureUnderAnotherConsensusChangesNothing(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		tn.start(0)
		tn.start(1)
		tn.same(0, 0, 1)
		r := tn.Round(1)
		key, cert := tn.sets[2].Note()
		tn.until(r.Sign.Add(20 * time.Millisecond))
		for _, size := range []int64{7, 8} {
			sc := &directory.SignedCheckpoint{Checkpoint: directory.Checkpoint{Origin: tn.Name, Size: size, ValidAfter: r.ValidAfter}}
			if err := sc.Sign(cert, key); err != nil {
				tn.t.Fatal(err)
			}
			doc, err := sc.Encode()
			if err != nil {
				tn.t.Fatal(err)
			}
			if _, err := tn.client(0, 2).Post(context.Background(), periodPath(pathSignatures, r.ValidAfter), doc, maxAnswer); err != nil {
				tn.t.Error(err)
			}
		}
		if b := tn.same(1, 0, 1); len(b.Signed.Signers(tn.Network.Network)) != 2 {
			tn.t.Errorf("%d signatures", len(b.Signed.Signers(tn.Network.Network)))
		}
	})
}

func TestWhoComesLateIsInTheNextRound(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		tn.start(0)
		tn.start(1)
		tn.relays(3)
		tn.until(tn.Round(0).Sign.Add(50 * time.Millisecond))
		tn.start(2)
		if b := tn.same(0, 0, 1); len(b.Consensus.Votes) != 2 {
			tn.t.Errorf("round 0: %d votes", len(b.Consensus.Votes))
		}
		time.Sleep(200 * time.Millisecond)
		tn.served(2, 0) // it fetched what it missed
		b := tn.same(1, 0, 1, 2)
		if got := len(b.Signed.Signers(tn.Network.Network)); got != 3 || len(b.Consensus.Votes) != 3 {
			tn.t.Errorf("round 1: %d votes, %d signatures", len(b.Consensus.Votes), got)
		}
		b = tn.same(2, 0, 1, 2)
		if known, _ := tn.nodes[2].reg.count(time.Now()); known != 3 || len(b.Consensus.Relays) != 3 {
			tn.t.Errorf("round 2: the late one knows %d relays of 3", known)
		}
	})
}

func TestRestartInTheMiddleOfAPeriod(t *testing.T) {
	for name, at := range map[string]func(r directory.Round) time.Time{
		"after its vote left":     func(r directory.Round) time.Time { return r.VotesLeave.Add(35 * time.Millisecond) },
		"in the second round":     func(r directory.Round) time.Time { return r.VoteEnd(1).Add(40 * time.Millisecond) },
		"after its signature":     func(r directory.Round) time.Time { return r.Sign.Add(60 * time.Millisecond) },
		"just before valid-after": func(r directory.Round) time.Time { return r.ValidAfter.Add(-time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(tn *testNet) {
				for i := range tn.nodes {
					tn.start(i)
				}
				tn.relays(3)
				tn.same(0, 0, 1, 2)
				time.Sleep(time.Until(at(tn.Round(1))))
				tn.stopNode(2)
				tn.start(2)
				b := tn.same(1, 0, 1)
				if got := len(b.Signed.Signers(tn.Network.Network)); got != 3 || len(b.Consensus.Votes) != 3 {
					tn.t.Errorf("%d votes, %d signatures", len(b.Consensus.Votes), got)
				}
				tn.same(2, 0, 1, 2)
				for i := range 3 {
					if files := tn.evidence(i); len(files) != 0 {
						tn.t.Errorf("authority %d believes that somebody voted twice", i)
					}
				}
			})
		})
	}
}

func TestNetworkGoesOnAfterAllWereDown(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		for i := range tn.nodes {
			tn.start(i)
		}
		tn.relays(3)
		before := tn.same(2, 0, 1, 2)
		tn.stopAll()
		time.Sleep(time.Until(tn.Round(5).ValidAfter))
		for i := range tn.nodes {
			tn.start(i)
		}
		after := tn.same(6, 0, 1, 2)
		if after.Consensus.Previous != before.Signed.Checkpoint.Digest || after.Signed.Checkpoint.Size != before.Signed.Checkpoint.Size+1 {
			tn.t.Errorf("size %d after %d, previous %v", after.Signed.Checkpoint.Size, before.Signed.Checkpoint.Size, after.Consensus.Previous)
		}
		if len(after.Consensus.Relays) != 3 {
			tn.t.Errorf("%d relays known from before", len(after.Consensus.Relays))
		}
	})
}

func TestSlowLinks(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		tn.latency = 70 * time.Millisecond // two of them in a vote round
		for i := range tn.nodes {
			tn.start(i)
		}
		for round := range int64(12) {
			if b := tn.same(round, 0, 1, 2); len(b.Consensus.Votes) != 3 {
				tn.t.Errorf("round %d: %d votes", round, len(b.Consensus.Votes))
			}
		}
	})
}

func TestVoteReachesThoseItsAuthorLeavesOut(t *testing.T) {
	inBubble(t, 5, func(tn *testNet) {
		for i := range 4 {
			tn.start(i)
		}
		tn.same(0, 0, 1, 2, 3)
		tn.until(tn.Round(1).VotesLeave.Add(20 * time.Millisecond))
		if err := tn.tell(tn.lie(4, 1, 1), 4, 0); err != nil { // authority 0 alone has it
			tn.t.Fatal(err)
		}
		if b := tn.same(1, 0, 1, 2, 3); len(b.Consensus.Votes) != 5 {
			tn.t.Errorf("%d votes", len(b.Consensus.Votes))
		}
	})
}

func TestCutBetweenTwoAuthoritiesOfThree(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		tn.cut = func(from, to int) error {
			if from+to == 1 && from >= 0 { // 0 and 1 reach each other only through 2
				return errCut
			}
			return nil
		}
		for i := range tn.nodes {
			tn.start(i)
		}
		for round := range int64(3) {
			if b := tn.same(round, 0, 1, 2); len(b.Consensus.Votes) != 3 {
				tn.t.Errorf("round %d: %d votes", round, len(b.Consensus.Votes))
			}
		}
	})
}

// A relay that runs, but says that its address is another's, is not listed; with
// its own address it is.
func TestSomeoneElsesAddressNeverRuns(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		for i := range tn.nodes {
			tn.start(i)
		}
		good := tn.relays(3)
		thief := tn.NewRelay(9, time.Now())
		thief.Descriptor.Policy = directory.AcceptAll()
		home := *thief // where it answers, with its own key
		own := home.Descriptor
		tn.mu.Lock()
		tn.up[own.ID] = &home
		tn.mu.Unlock()
		thief.Descriptor.Addrs = good[0].Descriptor.Addrs
		for i := range tn.nodes {
			tn.publish(thief, i)
		}
		for round := range int64(13) {
			b := tn.same(round, 0, 1, 2)
			if len(b.Consensus.Relays) != 3 || b.Consensus.Relay(thief.Descriptor.ID) != nil {
				tn.t.Fatalf("round %d: %d relays", round, len(b.Consensus.Relays))
			}
		}
		thief.Descriptor.Addrs, thief.Descriptor.Published = own.Addrs, time.Now().UTC().Truncate(time.Millisecond)
		for i := range tn.nodes {
			tn.publish(thief, i)
		}
		if b := tn.same(15, 0, 1, 2); b.Consensus.Relay(own.ID) == nil {
			tn.t.Error("not listed at its own address")
		}
	})
}

func TestDeadRelayLeavesAndComesBack(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		for i := range tn.nodes {
			tn.start(i)
		}
		relays := tn.relays(3)
		id := relays[1].Descriptor.ID
		if b := tn.same(12, 0, 1, 2); b.Consensus.Relay(id) == nil {
			tn.t.Fatal("not listed")
		}
		tn.mu.Lock()
		delete(tn.up, id)
		tn.mu.Unlock()
		if b := tn.same(14, 0, 1, 2); b.Consensus.Relay(id) != nil {
			tn.t.Error("listed two periods after it died")
		}
		tn.mu.Lock()
		tn.up[id] = relays[1]
		tn.mu.Unlock()
		if b := tn.same(16, 0, 1, 2); b.Consensus.Relay(id) == nil {
			tn.t.Error("not listed two periods after it came back")
		}
	})
}

func TestDescriptorReachesAuthoritiesThatItWasNotSentTo(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		for i := range tn.nodes {
			tn.start(i)
		}
		r := tn.NewRelay(1, time.Now())
		tn.up[r.Descriptor.ID] = r
		tn.publish(r, 0)
		if b := tn.same(0, 0, 1, 2); len(b.Consensus.Relays) != 0 {
			tn.t.Error("listed by one of three")
		}
		if b := tn.same(1, 0, 1, 2); len(b.Consensus.Relays) != 1 {
			tn.t.Error("not listed a round later")
		}
	})
}

func TestLogOfCheckpointsCanBeRecomputed(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		for i := range tn.nodes {
			tn.start(i)
		}
		last := tn.same(5, 0, 1, 2)
		var log directory.Log
		for place := range last.Signed.Checkpoint.Size {
			b, err := tn.client(int(place)%3, -1).Get(context.Background(), pathCheckpoint+string(rune('0'+place)), directory.MaxSignedCheckpoint)
			if err != nil {
				tn.t.Fatal(err)
			}
			sc, err := directory.ParseSignedCheckpoint(b)
			if err != nil || sc.Verify(tn.Network.Network) != nil {
				tn.t.Fatalf("record %d: %v", place, err)
			}
			if log, err = log.Append([]byte(sc.Checkpoint.Text())); err != nil {
				tn.t.Fatal(err)
			}
		}
		if root, err := log.Root(); err != nil || root != last.Signed.Checkpoint.Root {
			tn.t.Errorf("root %v, want %v (%v)", root, last.Signed.Checkpoint.Root, err)
		}
		_, err := tn.client(0, -1).Get(context.Background(), pathCheckpoint+"99", directory.MaxSignedCheckpoint)
		if !errors.Is(err, mirror.ErrNotFound) {
			tn.t.Errorf("a record of the future: %v", err)
		}
	})
}

// TestVotesAreOnTimeWithTwoThousandStrangersFetching lets each of them fetch
// the consensus again and again, on a link of its own; half of them take no
// byte of the answer.
func TestVotesAreOnTimeWithTwoThousandStrangersFetching(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		for i := range tn.nodes {
			tn.start(i)
		}
		tn.relays(3)
		tn.same(0, 0, 1, 2)
		ctx, cancel := context.WithCancel(context.Background())
		var strangers sync.WaitGroup
		for i := range 2000 {
			strangers.Go(func() {
				dial := tn.dialAs(i%3, mirror.Peer{Link: uint64(10_000 + i)})
				for sleepUntil(ctx, time.Now().Add(time.Duration(i%100)*time.Millisecond)) == nil {
					conn, err := dial(ctx)
					if err != nil {
						continue // no stream is free
					}
					stop := context.AfterFunc(ctx, func() { conn.Close() })
					fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: directory\r\n\r\n", mirror.PathConsensus)
					if i%2 == 0 {
						<-ctx.Done()
					}
					_, _ = io.Copy(io.Discard, conn)
					stop()
					conn.Close()
				}
			})
		}
		defer strangers.Wait()
		defer cancel()
		for round := int64(1); round < 4; round++ {
			time.Sleep(time.Until(tn.Round(round).ValidAfter.Add(time.Millisecond)))
			for i, node := range tn.nodes {
				b := node.cache.Current()
				if !b.Consensus.ValidAfter.Equal(tn.Round(round).ValidAfter) || len(b.Consensus.Votes) != 3 || len(b.Signed.Signers(tn.Network.Network)) != 3 {
					tn.t.Errorf("round %d: authority %d serves the consensus of %v", round, i, b.Consensus.ValidAfter)
				}
			}
		}
	})
}

func TestWhoIsCutOffDuringTheVoteTakesOverTheOthersConsensus(t *testing.T) {
	for name, until := range map[string]func(r directory.Round) time.Time{
		"until signatures are gathered": func(r directory.Round) time.Time { return r.Sign.Add(20 * time.Millisecond) },
		"until it is valid":             func(r directory.Round) time.Time { return r.ValidAfter.Add(20 * time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(tn *testNet) {
				r := tn.Round(1)
				tn.cut = func(from, to int) error {
					now := time.Now()
					if (from == 2 || to == 2) && from >= 0 && !now.Before(r.VotesLeave) && now.Before(until(r)) {
						return errCut
					}
					return nil
				}
				for i := range tn.nodes {
					tn.start(i)
				}
				tn.relays(3)
				tn.same(0, 0, 1, 2)
				first := tn.same(1, 0, 1)
				time.Sleep(250 * time.Millisecond)
				if b := tn.served(2, 1); !bytes.Equal(b.Document(), first.Document()) || len(b.Consensus.Votes) != 2 {
					tn.t.Errorf("another consensus, of %d votes", len(b.Consensus.Votes))
				}
				if b := tn.same(2, 0, 1, 2); len(b.Signed.Signers(tn.Network.Network)) != 3 || b.Signed.Checkpoint.Size != 2 {
					tn.t.Errorf("next round: %d signatures, size %d", len(b.Signed.Signers(tn.Network.Network)), b.Signed.Checkpoint.Size)
				}
			})
		})
	}
}

func TestSecondCheckpointForAPeriodIsNeverSigned(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		r := tn.Round(1)
		key, cert := tn.sets[2].Note()
		before := &directory.SignedCheckpoint{Checkpoint: directory.Checkpoint{Origin: tn.Name, Size: 3, ValidAfter: r.ValidAfter}}
		if err := before.Sign(cert, key); err != nil {
			tn.t.Fatal(err)
		}
		doc, err := before.Encode()
		if err != nil {
			tn.t.Fatal(err)
		}
		for i := range tn.nodes {
			tn.start(i)
		}
		tn.same(0, 0, 1, 2)
		if _, err := tn.nodes[2].store.once(bucketSigned, r.ValidAfter, doc); err != nil { // in an earlier life
			tn.t.Fatal(err)
		}
		if b := tn.same(1, 0, 1, 2); len(b.Signed.Signers(tn.Network.Network)) != 2 {
			tn.t.Errorf("%d signatures", len(b.Signed.Signers(tn.Network.Network)))
		}
		tn.nodes[0].mu.Lock()
		for _, st := range tn.nodes[0].periodOf(r.ValidAfter).sign.notes {
			if mine := st.signed.Checkpoint == before.Checkpoint; mine != slices.Contains(st.signers, tn.sets[2].ID()) {
				tn.t.Errorf("checkpoint of size %d: signed %v", st.signed.Checkpoint.Size, !mine)
			}
		}
		tn.nodes[0].mu.Unlock()
		if b := tn.same(2, 0, 1, 2); len(b.Signed.Signers(tn.Network.Network)) != 3 {
			tn.t.Errorf("next round: %d signatures", len(b.Signed.Signers(tn.Network.Network)))
		}
	})
}
