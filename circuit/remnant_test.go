package circuit

import (
	"errors"
	"testing"

	"tunic/cell"
)

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
