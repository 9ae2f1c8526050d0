// Package chart draws lines into a small SVG file, without a library and without
// scripts. It knows numbers and names, not what they mean.
package chart

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strconv"
)

// A Point is a point of a line, with its interval if Low and High differ.
type Point struct{ X, Y, Low, High float64 }

// A Line is a named sequence of points, ascending by X. Marks are points that are
// shown with their intervals.
type Line struct {
	Name   string
	Points []Point
	Marks  []Point
}

// A Chart is lines over axes that begin at 0.
type Chart struct {
	Title, X, Y string
	Percent     bool // Y is a share
	Lines       []Line
}

const ( // pixels
	width, height            = 640, 360
	left, right, top, bottom = 60, 150, 34, 44
	ticks                    = 5
)

// colours tell lines apart, also for most who see colours otherwise.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555"}

// SVG returns the picture.
func (c *Chart) SVG() []byte {
	p := &plot{chart: c}
	for _, l := range c.Lines {
		for _, at := range l.Points {
			p.mostX, p.mostY = max(p.mostX, at.X), max(p.mostY, at.Y, at.High)
		}
	}
	p.mostX, p.mostY = round(p.mostX), round(p.mostY)
	p.print(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`, width, height)
	p.print(`<rect width="%d" height="%d" fill="#fff"/><text x="%d" y="20" font-size="14">%s</text>`, width, height, left, html.EscapeString(c.Title))
	p.axes()
	for i := range c.Lines {
		p.line(i)
	}
	p.print("</svg>")
	return p.out.Bytes()
}

// A plot is a chart while it is drawn.
type plot struct {
	chart        *Chart
	mostX, mostY float64
	out          bytes.Buffer
}

func (p *plot) print(format string, args ...any) {
	fmt.Fprintf(&p.out, format, args...)
	p.out.WriteByte('\n')
}

func (p *plot) x(v float64) float64 { return left + v/p.mostX*(width-left-right) }
func (p *plot) y(v float64) float64 { return height - bottom - v/p.mostY*(height-top-bottom) }

// axes draws the scales.
func (p *plot) axes() {
	for i := range ticks + 1 {
		x, y := p.mostX*float64(i)/ticks, p.mostY*float64(i)/ticks
		p.print(`<path d="M%d %sH%d" stroke="#ddd"/><text x="%d" y="%s" text-anchor="end">%s</text>`,
			left, pixel(p.y(y)), width-right, left-6, pixel(p.y(y)+4), p.label(y))
		p.print(`<text x="%s" y="%d" text-anchor="middle">%s</text>`, pixel(p.x(x)), height-bottom+18, number(x))
	}
	p.print(`<path d="M%d %dV%dH%d" fill="none" stroke="#333"/>`, left, top, height-bottom, width-right)
	p.print(`<text x="%d" y="%d" text-anchor="middle">%s</text>`, (left+width-right)/2, height-8, html.EscapeString(p.chart.X))
	p.print(`<text transform="translate(14 %d) rotate(-90)" text-anchor="middle">%s</text>`, (top+height-bottom)/2, html.EscapeString(p.chart.Y))
}

// line draws one line, its marks and its name.
func (p *plot) line(i int) {
	l, colour := &p.chart.Lines[i], colours[i%len(colours)]
	if len(l.Points) > 0 {
		var d bytes.Buffer
		for k, at := range l.Points {
			if k > 0 && k < len(l.Points)-1 && at.Y == l.Points[k-1].Y && at.Y == l.Points[k+1].Y {
				continue // nothing bends here
			}
			d.WriteString(map[bool]string{true: "M", false: "L"}[k == 0])
			d.WriteString(pixel(p.x(at.X)) + " " + pixel(p.y(at.Y)))
		}
		p.print(`<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`, d.String(), colour)
	}
	for _, at := range l.Marks {
		p.print(`<path d="M%s %sV%s" stroke="%s" stroke-width="4" opacity=".5"/>`, pixel(p.x(at.X)), pixel(p.y(at.Low)), pixel(p.y(at.High)), colour)
	}
	y := top + 10 + 18*i
	p.print(`<path d="M%d %dh18" stroke="%s" stroke-width="3"/><text x="%d" y="%d">%s</text>`,
		width-right+10, y, colour, width-right+34, y+4, html.EscapeString(l.Name))
}

func (p *plot) label(y float64) string {
	if p.chart.Percent {
		return number(100*y) + " %"
	}
	return number(y)
}

// pixel is exact to a tenth.
func pixel(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

func number(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

// round returns the next number that a scale can end with.
func round(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10} {
		if step*unit >= v*(1-1e-9) {
			return step * unit
		}
	}
	return v
}
