package chart_test

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"tunic/cmd/internal/sim/chart"
)

func TestChartIsXMLWithAllNames(t *testing.T) {
	c := chart.Chart{Title: "a < b & c", X: "days", Y: "share", Percent: true, Lines: []chart.Line{
		{Name: "one & two", Points: []chart.Point{{X: 0, Y: 0}, {X: 1, Y: 0.5}}, Marks: []chart.Point{{X: 1, Y: 0.5, Low: 0.4, High: 0.6}}},
		{Name: "nothing"},
	}}
	svg := string(c.SVG())
	d := xml.NewDecoder(strings.NewReader(svg))
	text := ""
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		if s, ok := token.(xml.CharData); ok {
			text += string(s)
		}
	}
	for _, want := range []string{"a < b & c", "one & two", "nothing", "days", "50 %"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Error(svg)
	}
}
