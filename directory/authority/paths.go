package authority

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// Paths fixed by docs/protocol.md, "Requests to authorities". Behind all but the
// first two stand a period, its valid-after in milliseconds since 1970.
const (
	pathTest       = "/tunic/1/test"        // POST a descriptor: can its relay be reached?
	pathCheckpoint = "/tunic/1/checkpoint/" // GET, with a place in the log behind it
	pathVote       = "/tunic/1/vote/"       // POST an envelope; GET …/AUTHOR/DIGEST: a vote
	pathVotes      = "/tunic/1/votes/"      // GET: envelopes of the votes that count, without the votes
	pathSignatures = "/tunic/1/signatures/" // POST, GET: a signed checkpoint
	pathDocument   = "/tunic/1/document/"   // GET …/DIGEST: a consensus that this authority computed
)

const ( // fixed by docs/protocol.md, "Requests to authorities"
	maxIndex  = 1 << 20 // bytes of the answer to pathVotes
	maxAnswer = 1 << 10 // bytes of the answer to a POST
)

var errPath = errors.New("malformed path")

func periodPath(prefix string, validAfter time.Time) string {
	return prefix + strconv.FormatInt(validAfter.UnixMilli(), 10)
}

func votePath(validAfter time.Time, author keys.RelayID, d directory.Digest) string {
	return periodPath(pathVote, validAfter) + "/" + author.String() + "/" + d.String()
}

func documentPath(validAfter time.Time, d directory.Digest) string {
	return periodPath(pathDocument, validAfter) + "/" + d.String()
}

// parsePeriod reads a time as periodPath writes it.
func parsePeriod(s string) (time.Time, error) {
	ms, err := strconv.ParseUint(s, 10, 47) // to the year 6429
	if err != nil || strconv.FormatUint(ms, 10) != s {
		return time.Time{}, errPath
	}
	return time.UnixMilli(int64(ms)).UTC(), nil
}

// joinEnvelopes puts envelopes without votes into one document: one behind the
// other, each begins with its own first line.
func joinEnvelopes(envs []*directory.Envelope) ([]byte, error) {
	var b []byte
	for _, e := range envs {
		doc, err := e.Bare().Encode()
		if err != nil {
			return nil, err
		}
		b = append(b, doc...)
	}
	return b, nil
}

const envelopeStart = "tunic-envelope " // of an envelope's first line

// splitEnvelopes takes apart what joinEnvelopes made. An authority has at most
// two counted votes of each.
func splitEnvelopes(b []byte, n *directory.Network) (envs []*directory.Envelope, err error) {
	rest := string(b)
	for rest != "" {
		if len(envs) >= maxOffers*len(n.Authorities) {
			return nil, fmt.Errorf("too many envelopes: %w", directory.ErrMalformed)
		}
		end := len(rest)
		if i := strings.Index(rest, "\n"+envelopeStart); i >= 0 {
			end = i + 1
		}
		e, err := directory.ParseEnvelope([]byte(rest[:end]), n)
		if err != nil {
			return nil, err
		}
		if e.Vote != nil {
			return nil, fmt.Errorf("vote among signatures: %w", directory.ErrMalformed)
		}
		envs, rest = append(envs, e), rest[end:]
	}
	return envs, nil
}
