package bench

import (
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// patience bounds what a test waits for.
const patience = 9 * time.Second

// inProcess serves a part in this process, configures it and reads what it says when
// it is ready.
func inProcess(t *testing.T, name string, config, ready any) (ask *json.Encoder, answers *json.Decoder) {
	t.Helper()
	in, toPart := io.Pipe()
	fromPart, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- ServePart(name, in, out); out.Close() }() // ends with toPart
	t.Cleanup(func() {
		toPart.Close()
		go io.Copy(io.Discard, fromPart) // ends with the part
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	ask, answers = json.NewEncoder(toPart), json.NewDecoder(fromPart)
	if err := ask.Encode(config); err != nil {
		t.Fatal(err)
	}
	if err := answers.Decode(ready); err != nil {
		t.Fatal(err)
	}
	return ask, answers
}

func TestRelayPartForwards(t *testing.T) {
	load, err := newLoad(2, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer load.close()
	var relay peer
	ask, answers := inProcess(t, relayPart, forwarding{Next: load.peers()}, &relay)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := load.start(ctx, relay); err != nil {
		t.Fatal(err)
	}
	// More than the windows hold, on every circuit: what arrives makes room.
	for _, p := range load.pairs {
		for _, f := range p.flows {
			for f.got.Load() <= 2*p.window {
				if err := await(ctx, load.failed, time.Millisecond); err != nil {
					t.Fatalf("%d cells came: %v, %v", f.got.Load(), err, load.check())
				}
			}
		}
	}
	var a, b amount
	for _, into := range []*amount{&a, &b} {
		if err := ask.Encode(question{}); err != nil {
			t.Fatal(err)
		}
		if err := answers.Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	if a.CPU <= 0 || b.CPU < a.CPU {
		t.Errorf("processor time %v, then %v", a.CPU, b.CPU)
	}
}

// A relay that does not know the far side destroys the circuit; the load says so
// and does not wait.
func TestLoadTellsWhyItBrokeOff(t *testing.T) {
	load, err := newLoad(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer load.close()
	var relay peer
	inProcess(t, relayPart, forwarding{}, &relay)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := load.start(ctx, relay); err == nil || !strings.Contains(err.Error(), "circuit through the relay: DESTROY from the relay") {
		t.Errorf("%v", err)
	}
}

func TestServePartRefuses(t *testing.T) {
	for name, in := range map[string]string{"layers": "{}", relayPart: "no JSON", networkPart: "no JSON"} {
		if err := ServePart(name, strings.NewReader(in), io.Discard); err == nil {
			t.Errorf("%s is served for %q", name, in)
		}
	}
}

// A part that ends by itself is told with what it said.
func TestPartThatDies(t *testing.T) {
	program, err := exec.LookPath("false")
	if err != nil {
		t.Skip("there is no program that only fails")
	}
	r := &run{Options: Options{Executable: program}}
	var ready struct{}
	if _, err := r.startPart(t.Context(), relayPart, 1, forwarding{}, &ready); err == nil || !strings.Contains(err.Error(), "does not answer: exit status 1") {
		t.Errorf("%v", err)
	}
	r.Executable = "" // this one, which says why
	if _, err := r.startPart(t.Context(), "nothing", 1, struct{}{}, &ready); err == nil || !strings.Contains(err.Error(), `exit status 1; it said: no part "nothing"`) {
		t.Errorf("%v", err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var w tail
	for range 100 {
		if _, err := w.Write([]byte(strings.Repeat("x", 100))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write([]byte("the end\n")); err != nil {
		t.Fatal(err)
	}
	if s := w.String(); len(w.b) != maxComplaint || !strings.HasSuffix(s, "xthe end") {
		t.Errorf("%d bytes kept: %s", len(w.b), s)
	}
	if s := (&tail{}).String(); s != "" {
		t.Errorf("nothing said reads %q", s)
	}
}
