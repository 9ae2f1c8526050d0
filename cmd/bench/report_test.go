package bench

import (
	"bytes"
	"math"
	"testing"
)

// sample is a report with all that reports can have.
func sample() *run {
	r := &run{report: Report{Version: reportVersion, Machine: Machine{OS: "plan9", Arch: "mips", Cores: 4, Go: "go1.26", Tunic: "0.1.0"}, Notes: []string{}}}
	r.add("layers", "relay inward", figure{nsPerCell, 300.25}, figure{mibPerSecond, 1627.6})
	r.add(networkName, "start", figure{readySeconds, 1.5})
	r.add(networkName, oneStream, figure{mibPerSecond, 150}, figure{cpuPerGiB, 12})
	r.add(processesName, oneStream, figure{mibPerSecond, 75.5}, figure{cpuPerGiB, math.NaN()})
	r.note("a remark of %d words", 4)
	r.note("a remark of %d words", 4)
	return r
}

func TestJSON(t *testing.T) {
	const want = `{
  "version": 1,
  "machine": {
    "os": "plan9",
    "arch": "mips",
    "cores": 4,
    "go": "go1.26",
    "tunic": "0.1.0"
  },
  "results": [
    {
      "measurement": "layers",
      "case": "relay inward",
      "figures": {
        "cpu_ns_per_cell": 300.25,
        "mib_per_s": 1627.6
      }
    },
    {
      "measurement": "network",
      "case": "start",
      "figures": {
        "ready_s": 1.5
      }
    },
    {
      "measurement": "network",
      "case": "one stream",
      "figures": {
        "cpu_s_per_gib": 12,
        "mib_per_s": 150
      }
    },
    {
      "measurement": "processes",
      "case": "one stream",
      "figures": {
        "mib_per_s": 75.5
      }
    }
  ],
  "notes": [
    "a remark of 4 words"
  ]
}
`
	var b bytes.Buffer
	if err := sample().report.WriteJSON(&b); err != nil || b.String() != want {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestTable(t *testing.T) {
	const want = `tunic 0.1.0 on plan9/mips, 4 cores, go1.26

layers: one layer of one cell, on one core
                 CPU ns/cell   MiB/s
  relay inward   300           1628

network: three hops, all nodes in one process, through its SOCKS proxy
          ready, s
  start   1.50
               MiB/s   CPU s/GiB
  one stream   150     12.0

processes: three hops, each node a process of its own, through its SOCKS proxy
               MiB/s
  one stream   75.5

a remark of 4 words
`
	var b bytes.Buffer
	if err := sample().report.WriteTable(&b); err != nil || b.String() != want {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// full takes a few bytes and no more.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, bytes.ErrTooLarge
	}
	return len(p), nil
}

func TestTableSaysThatItCouldNotBeWritten(t *testing.T) {
	var whole bytes.Buffer
	if err := sample().report.WriteTable(&whole); err != nil {
		t.Fatal(err)
	}
	for room := range whole.Len() {
		if err := sample().report.WriteTable(&full{room}); err == nil {
			t.Fatalf("%d of %d bytes were written, and nobody hears of it", room, whole.Len())
		}
	}
}

func TestCompare(t *testing.T) {
	r := sample()
	r.add(processesName, eightStreams, figure{cpuPerGiB, 20})
	before := len(r.report.Results)
	if r.compare(); len(r.report.Results) != before {
		t.Error("compared without a floor")
	}
	r.add(floorName, floorSum, figure{cpuPerGiB, 8})
	r.add(floorName, floorWaitedSum, figure{cpuPerGiB, 10})
	r.compare()
	for _, want := range []struct {
		name, figure string
		value        float64
	}{
		{"one process, one stream", cpuPerGiB, 12},
		{"one process, one stream", distance, 1.5},
		{"one process, one stream", distanceWaited, 1.2},
		{"separate processes, eight streams on eight circuits", distance, 2.5},
	} {
		if v, ok := r.report.figure(comparison, want.name, want.figure); !ok || v != want.value {
			t.Errorf("%s, %s: %v, want %v", want.name, want.figure, v, want.value)
		}
	}
	if _, ok := r.report.figure(comparison, "separate processes, one stream", distance); ok {
		t.Error("a distance of what was not measured")
	}
}

func TestAdviceForARelaysOperator(t *testing.T) {
	r := sample()
	r.advise()
	if n := len(r.report.Notes); n != 1 {
		t.Errorf("%d notes without a figure to go by", n)
	}
	r.add("relay", "256 circuits on 64 links, all cores", figure{capacity, 812.4})
	r.advise()
	const want = "This machine can relay about 812 MiB/s in each direction, if it does nothing else and its network can: bandwidth_rate = 850_000_000."
	if got := r.report.Notes[len(r.report.Notes)-1]; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestGrouped(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7.9: "7", 99: "99", 1234: "1_200", 98765: "98_000", 123456789: "120_000_000", 1.999e9: "1_900_000_000"} {
		if got := grouped(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}
