package authority

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"tunic/cell/work"
	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/mirror"
)

// code is the status that an error of a request stands for.
func code(err error) int {
	if status, ok := errors.AsType[*mirror.StatusError](err); ok {
		return status.Code
	}
	if _, ok := errors.AsType[*mirror.BusyError](err); ok {
		return http.StatusServiceUnavailable
	}
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, mirror.ErrNotFound):
		return http.StatusNotFound
	}
	return 0
}

func TestWhatIsRefused(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		tn.latency = time.Millisecond // all questions fit into the vote rounds
		tn.start(0)
		tn.start(1)
		tn.same(0, 0, 1)
		time.Sleep(time.Until(tn.Round(1).VotesLeave))
		at, later := tn.Round(1).ValidAfter, tn.Round(4).ValidAfter
		vote, next := tn.lie(2, 1, 1), tn.lie(2, 4, 1)
		envelope := tn.envelopeOf(vote, 2)
		byOther := tn.envelopeOf(vote, 1)
		flipped := bytes.Clone(envelope)
		flipped[len(flipped)/2] ^= 1
		for _, tt := range []struct {
			name, path string
			as         int // -1: a stranger
			body       []byte
			want       int
		}{
			{"vote from a stranger", periodPath(pathVote, at), -1, envelope, 403},
			{"vote for a period far away", periodPath(pathVote, later), 2, tn.envelopeOf(next, 2), 404},
			{"vote for another period than its path", periodPath(pathVote, at), 2, tn.envelopeOf(next, 2), 409},
			{"vote for a period between two", periodPath(pathVote, at.Add(time.Millisecond)), 2, envelope, 404},
			{"path without a number", pathVote + "tomorrow", 2, envelope, 400},
			{"vote without its author's signature", periodPath(pathVote, at), 2, byOther, 409},
			{"flipped bit", periodPath(pathVote, at), 2, flipped, 400},
			{"nothing", periodPath(pathVote, at), 2, nil, 400},
			{"an envelope of 32 MiB and more", periodPath(pathVote, at), 2, make([]byte, directory.MaxEnvelope+1), 413},
			{"vote", periodPath(pathVote, at), 2, envelope, 200},
			{"the same vote again", periodPath(pathVote, at), 2, envelope, 200},
			{"signatures from a stranger", periodPath(pathSignatures, at), -1, nil, 403},
			{"signatures that are none", periodPath(pathSignatures, at), 2, []byte("x\n"), 400},
			{"signatures of 64 KiB and more", periodPath(pathSignatures, at), 2, make([]byte, directory.MaxSignedCheckpoint+1), 413},
			{"descriptor of 32 KiB and more", mirror.PathDescriptor, -1, make([]byte, directory.MaxDescriptor+1), 413},
			{"descriptor that is none", mirror.PathDescriptor, -1, []byte("x\n"), 400},
			{"test of a descriptor that is none", pathTest, -1, []byte("x\n"), 400},
		} {
			_, err := tn.client(0, tt.as).Post(context.Background(), tt.path, tt.body, maxAnswer)
			if got := code(err); got != tt.want {
				tn.t.Errorf("%s: %v, want status %d", tt.name, err, tt.want)
			}
		}
		for path, want := range map[string]int{
			periodPath(pathVotes, at):                                   200,
			periodPath(pathVotes, later):                                404,
			votePath(at, tn.sets[2].ID(), vote.v.Digest()):              200,
			votePath(at, tn.sets[1].ID(), vote.v.Digest()):              404,
			periodPath(pathVote, at) + "/x/" + vote.v.Digest().String(): 400,
			periodPath(pathSignatures, at):                              404, // nobody has signed yet
			periodPath(pathSignatures, tn.Round(0).ValidAfter):          200,
			documentPath(at, directory.Digest{1}):                       404,
			pathCheckpoint + "0":                                        200,
			pathCheckpoint + "00":                                       400,
			periodPath(pathVotes, at) + "?x":                            404,
			"/tunic/1//votes/1":                                         404,
			pathTest:                                                    404,
			"/tunic/1/other":                                            404,
			mirror.PathOf + tn.sets[0].ID().String():                    404,
		} {
			_, err := tn.client(0, -1).Get(context.Background(), path, directory.MaxVote)
			if got := code(err); got != want {
				tn.t.Errorf("GET %s: %v, want status %d", path, err, want)
			}
		}
	})
}

// envelopeOf returns the document of a vote with one authority's signature.
func (tn *testNet) envelopeOf(vote testVote, by int) []byte {
	tn.t.Helper()
	key, cert := tn.sets[by].Signing()
	env := directory.NewEnvelope(vote.v, vote.doc)
	if err := env.Countersign(cert, key); err != nil {
		tn.t.Fatal(err)
	}
	doc, err := env.Encode()
	if err != nil {
		tn.t.Fatal(err)
	}
	return doc
}

func TestUploads(t *testing.T) {
	inBubble(t, 1, func(tn *testNet) {
		tn.start(0)
		now := time.Now()
		post := func(r *directorytest.Relay) (string, int) {
			b, err := tn.client(0, -1).Post(context.Background(), mirror.PathDescriptor, r.Sign(tn.t), maxAnswer)
			return string(b), code(err)
		}
		r := tn.NewRelay(1, now)
		if text, status := post(r); status != 200 || text != "accepted\n" {
			tn.t.Errorf("first: %d %q", status, text)
		}
		if text, status := post(r); status != 200 || text != "known\n" {
			tn.t.Errorf("again: %d %q", status, text)
		}
		for name, tt := range map[string]struct {
			change func(r *directorytest.Relay)
			want   int
		}{
			"two days ahead":   {func(r *directorytest.Relay) { r.Descriptor.Published = now.Add(48 * time.Hour) }, 409},
			"two days old":     {func(r *directorytest.Relay) { r.Descriptor.Published = now.Add(-48 * time.Hour) }, 409},
			"another network":  {func(r *directorytest.Relay) { r.Descriptor.Network[0] ^= 1 }, 400},
			"another signer":   {func(r *directorytest.Relay) { r.Signing = tn.NewRelay(2, now).Signing }, 400},
			"another identity": {func(r *directorytest.Relay) { r.Descriptor.ID = tn.NewRelay(2, now).Descriptor.ID }, 400},
			"an authority's address": {func(r *directorytest.Relay) {
				r.Descriptor.Addrs = []netip.AddrPort{tn.Authorities[0].Addrs[0]}
			}, 403},
		} {
			r := tn.NewRelay(3, now)
			tt.change(r)
			if text, status := post(r); status != tt.want {
				tn.t.Errorf("%s: %d %q, want %d", name, status, text, tt.want)
			}
		}
		raw, err := tn.client(0, -1).Descriptor(context.Background(), r.Descriptor.ID)
		if err != nil || !bytes.Equal(raw, r.Sign(tn.t)) {
			tn.t.Errorf("descriptor of a relay: %v", err)
		}
	})
}

func TestRelayMayAskWhetherItIsReached(t *testing.T) {
	inBubble(t, 1, func(tn *testNet) {
		node := tn.start(0)
		r := tn.NewRelay(1, time.Now())
		as := func(p mirror.Peer) (string, int) {
			c := mirror.Client{Dial: tn.dialAs(0, p)}
			b, err := c.Post(context.Background(), pathTest, r.Sign(tn.t), maxAnswer)
			return string(b), code(err)
		}
		itself := mirror.Peer{ID: r.Descriptor.ID, Class: work.Relay, Link: 77}
		if text, status := as(itself); status != 200 || text != "not reached\n" {
			tn.t.Errorf("down: %d %q", status, text)
		}
		tn.up[r.Descriptor.ID] = r
		if text, status := as(itself); status != 200 || text != "reached\n" {
			tn.t.Errorf("up: %d %q", status, text)
		}
		if text, status := as(mirror.Peer{Link: 78}); status != 403 {
			tn.t.Errorf("asked by a stranger: %d %q", status, text)
		}
		if known, _ := node.reg.count(time.Now()); known != 0 {
			tn.t.Error("the question was taken for a publication")
		}
	})
}

func TestAnswerNamesTheAddressSeen(t *testing.T) {
	for from, want := range map[string]string{
		"192.0.2.7:4711":          "observed 192.0.2.7:4711\n",
		"[::ffff:192.0.2.7]:4711": "observed 192.0.2.7:4711\n",
		"[2001:db8::1]:1":         "observed [2001:db8::1]:1\n",
		"0.0.0.0:0":               "",
		"directory":               "",
		"":                        "",
	} {
		if got := observed(&http.Request{RemoteAddr: from}); got != want {
			t.Errorf("%q: %q, want %q", from, got, want)
		}
	}
}
