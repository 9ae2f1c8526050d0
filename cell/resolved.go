package cell

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// An AnswerKind says what an [Answer] holds.
type AnswerKind uint8

// The kinds of answer.
const (
	AnswerIPv4     AnswerKind = 4
	AnswerIPv6     AnswerKind = 6
	AnswerName     AnswerKind = 12   // the name of an address
	AnswerTryAgain AnswerKind = 0xf0 // no answer now; asking again may help
	AnswerNotFound AnswerKind = 0xf1 // no answer, and asking again does not help
)

const ( // fixed by docs/protocol.md, "Stream messages"
	// MaxAnswers is the most answers that one RESOLVED carries.
	MaxAnswers       = 16
	answerHeaderSize = 1 + 1 // bytes: kind, length
)

// Failed reports whether the answer is that there is none.
func (k AnswerKind) Failed() bool { return k == AnswerTryAgain || k == AnswerNotFound }

// An Answer is one answer of RESOLVED: kind 1, length 1, value, time to live 4.
// Of Addr and Name at most one is set, as Kind says.
type Answer struct {
	Kind AnswerKind
	Addr netip.Addr
	Name string // as [BeginRequest]'s Host
	TTL  uint32 // seconds
}

// A ResolvedReply is the data of RESOLVED: count 1 (1 to 16), the answers. An
// answer of failure stands alone.
type ResolvedReply struct {
	Answers []Answer
}

// ParseResolved decodes the data of RESOLVED. The result does not alias b.
func ParseResolved(b []byte) (ResolvedReply, error) {
	if len(b) < 1 || len(b) > MaxData {
		return ResolvedReply{}, fmt.Errorf("RESOLVED of %d bytes: %w", len(b), ErrMalformed)
	}
	n, rest := int(b[0]), b[1:]
	if n < 1 || n > MaxAnswers {
		return ResolvedReply{}, fmt.Errorf("RESOLVED with %d answers: %w", n, ErrMalformed)
	}
	r := ResolvedReply{Answers: make([]Answer, n)}
	for i := range r.Answers {
		var err error
		if r.Answers[i], rest, err = takeAnswer(rest); err != nil {
			return ResolvedReply{}, fmt.Errorf("RESOLVED: %w", err)
		}
	}
	if len(rest) != 0 {
		return ResolvedReply{}, fmt.Errorf("RESOLVED with %d bytes too many: %w", len(rest), ErrMalformed)
	}
	if err := r.check(); err != nil {
		return ResolvedReply{}, err
	}
	return r, nil
}

// takeAnswer decodes one answer from the front of b.
func takeAnswer(b []byte) (a Answer, rest []byte, err error) {
	if len(b) < answerHeaderSize || int(b[1]) > len(b)-answerHeaderSize-ttlSize {
		return Answer{}, nil, fmt.Errorf("answer beyond the message: %w", ErrMalformed)
	}
	a.Kind = AnswerKind(b[0])
	value, rest := b[answerHeaderSize:answerHeaderSize+int(b[1])], b[answerHeaderSize+int(b[1]):]
	a.TTL = binary.BigEndian.Uint32(rest)
	switch a.Kind {
	case AnswerIPv4, AnswerIPv6:
		a.Addr, _ = netip.AddrFromSlice(value) // another length gives the zero Addr, which check refuses
	case AnswerName:
		a.Name = string(value)
	default:
		if len(value) != 0 {
			return Answer{}, nil, fmt.Errorf("answer of kind %d with a value: %w", a.Kind, ErrMalformed)
		}
	}
	if err := a.check(); err != nil {
		return Answer{}, nil, err
	}
	return a, rest[ttlSize:], nil
}

func (r ResolvedReply) check() error {
	if n := len(r.Answers); n < 1 || n > MaxAnswers {
		return fmt.Errorf("RESOLVED with %d answers: %w", n, ErrMalformed)
	}
	for _, a := range r.Answers {
		if a.Kind.Failed() && len(r.Answers) != 1 {
			return fmt.Errorf("RESOLVED with answers and a failure: %w", ErrMalformed)
		}
	}
	return nil
}

func (a Answer) check() error {
	bad := false
	switch a.Kind {
	case AnswerIPv4:
		bad = !a.Addr.Is4() || a.Name != ""
	case AnswerIPv6:
		bad = !a.Addr.Is6() || checkAddr(a.Addr) != nil || a.Name != ""
	case AnswerName:
		bad = a.Addr.IsValid() || checkHost(a.Name) != nil
	case AnswerTryAgain, AnswerNotFound:
		bad = a.Addr.IsValid() || a.Name != ""
	default:
		bad = true
	}
	if bad {
		return fmt.Errorf("answer of kind %d: %w", a.Kind, ErrMalformed)
	}
	return nil
}

// size returns the encoded length of a.
func (a Answer) size() int {
	return answerHeaderSize + a.Addr.BitLen()/8 + len(a.Name) + ttlSize
}

// AppendBinary encodes r behind b. It refuses what [ParseResolved] would refuse
// and what does not fit in one message.
func (r ResolvedReply) AppendBinary(b []byte) ([]byte, error) {
	if err := r.check(); err != nil {
		return b, err
	}
	size := 1
	for _, a := range r.Answers {
		if err := a.check(); err != nil {
			return b, fmt.Errorf("RESOLVED: %w", err)
		}
		size += a.size()
	}
	if size > MaxData {
		return b, fmt.Errorf("RESOLVED of %d bytes: %w", size, ErrMalformed)
	}
	b = append(b, byte(len(r.Answers)))
	for _, a := range r.Answers {
		b = append(b, byte(a.Kind), byte(a.size()-answerHeaderSize-ttlSize))
		b = append(b, a.Addr.AsSlice()...)
		b = append(b, a.Name...)
		b = binary.BigEndian.AppendUint32(b, a.TTL)
	}
	return b, nil
}

// Fit returns the reply with as many of its first answers as one message holds.
func (r ResolvedReply) Fit() ResolvedReply {
	size := 1
	for i, a := range r.Answers {
		if size += a.size(); i == MaxAnswers || size > MaxData {
			return ResolvedReply{Answers: r.Answers[:i]}
		}
	}
	return r
}
