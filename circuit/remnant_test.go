package circuit

import (
	"errors"
	"testing"

	"tunic/cell"
)

func TestFlowAcceptsOnlyWhatHasACause(t *testing.T) {
	off := cell.Message{Command: cell.XOff, Stream: 1}
	on := cell.Message{Command: cell.XOn, Stream: 1, Data: make([]byte, 4)}
	tests := []struct {
		name string
		sent int64
		msgs []cell.Message
		ok   bool
	}{
		{"XOFF after enough data", xoffCredit, []cell.Message{off}, true},
		{"XOFF a byte too early", xoffCredit - 1, []cell.Message{off}, false},
		{"XOFF and XON", xoffCredit, []cell.Message{off, on}, true},
		{"XON first", xoffCredit, []cell.Message{on}, false},
		{"two XOFF", 2 * xoffCredit, []cell.Message{off, off}, false},
		{"two XON", xoffCredit, []cell.Message{off, on, on}, false},
		{"second XOFF without more data", xoffCredit, []cell.Message{off, on, off}, false},
		{"second XOFF with more data", 2 * xoffCredit, []cell.Message{off, on, off}, true},
		{"XOFF with data", xoffCredit, []cell.Message{{Command: cell.XOff, Data: []byte{1}}}, false},
		{"XON of three bytes", xoffCredit, []cell.Message{off, {Command: cell.XOn, Data: make([]byte, 3)}}, false},
	}
	for _, test := range tests {
		f := flow{sent: test.sent}
		var err error
		for _, m := range test.msgs {
			err = errors.Join(err, f.receive(m))
		}
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil && !errors.Is(err, cell.ErrMalformed) {
			t.Errorf("%s: %v is not ErrMalformed", test.name, err)
		}
	}
}

func TestRemnantTakesWhatIsUnderWay(t *testing.T) {
	data := cell.Message{Command: cell.Data, Stream: 1, Data: []byte{1}}
	connected := cell.Message{Command: cell.Connected, Stream: 1, Data: make([]byte, 5)}
	tests := []struct {
		name string
		r    remnant
		msgs []cell.Message
		ok   bool
	}{
		{"DATA", remnant{connected: true, drop: 2}, []cell.Message{data, data}, true},
		{"DATA beyond every window", remnant{connected: true, drop: 1}, []cell.Message{data, data}, false},
		{"DATA before CONNECTED", remnant{drop: 1}, []cell.Message{data}, false},
		{"CONNECTED, DATA", remnant{drop: 1}, []cell.Message{connected, data}, true},
		{"CONNECTED twice", remnant{}, []cell.Message{connected, connected}, false},
		{"CONNECTED after one", remnant{connected: true}, []cell.Message{connected}, false},
		{"malformed CONNECTED", remnant{}, []cell.Message{{Command: cell.Connected, Stream: 1}}, false},
		{"DATA when it is over", remnant{late: true, connected: true, drop: 1}, []cell.Message{data}, false},
		{"BEGIN", remnant{connected: true}, []cell.Message{{Command: cell.Begin, Stream: 1}}, false},
	}
	for _, test := range tests {
		var err error
		for _, m := range test.msgs {
			err = errors.Join(err, test.r.receive(m))
		}
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestSettleAcceptsOneEndForEachSide(t *testing.T) {
	tests := []struct {
		name string
		late bool
		ends []cell.EndReason
		ok   bool
	}{
		{"END of a closed stream", false, []cell.EndReason{cell.EndMisc}, true},
		{"orderly END of a closed stream", false, []cell.EndReason{cell.EndDone}, true},
		{"orderly END, then given up", false, []cell.EndReason{cell.EndDone, cell.EndMisc}, true},
		{"two orderly ENDs", false, []cell.EndReason{cell.EndDone, cell.EndDone}, false},
		{"given up twice", false, []cell.EndReason{cell.EndMisc, cell.EndMisc}, false},
		{"given up late", true, []cell.EndReason{cell.EndMisc}, true},
		{"given up late, twice", true, []cell.EndReason{cell.EndMisc, cell.EndMisc}, false},
		{"orderly END late", true, []cell.EndReason{cell.EndDone}, false},
	}
	for _, test := range tests {
		var e end
		id := begin(t, &e.table)
		e.table.leave(id, &remnant{late: test.late})
		var err error
		for _, reason := range test.ends {
			err = errors.Join(err, e.toStream(cell.Message{Command: cell.End, Stream: id, Data: []byte{byte(reason)}}, nil))
		}
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
