// Package plot draws the small pictures of the pages as SVG. A picture has a description
// for those who cannot see it, and takes its colours from the style sheet: a policy that
// forbids styles within the page forbids them in an SVG as well.
package plot

import (
	"fmt"
	"html/template"
	"strings"
	"time"
)

const (
	width, height = 240, 64
	// hour is the width of one of 24.
	hour = width / 24
)

// Hours draws two counts of each hour of a day, the last one last: the first as bars, and
// the second as a mark on each. The description names the first.
func Hours(bars, marks [24]int, what string) template.HTML {
	most, sum, top := 1, 0, 0
	for i := range bars {
		most, top = max(most, bars[i], marks[i]), max(top, bars[i])
		sum += bars[i]
	}
	return day(bars, marks, most, fmt.Sprintf("%s in the last 24 hours: %d, at most %d in an hour", what, sum, top))
}

// Ranges draws for each hour of a day a bar up to a time, and a mark at a shorter one.
func Ranges(marks, bars [24]time.Duration, what string) template.HTML {
	most := time.Millisecond
	var low, high [24]int
	for i := range bars {
		most = max(most, bars[i])
		low[i], high[i] = int(marks[i]), int(bars[i])
	}
	return day(high, low, int(most), fmt.Sprintf("%s in each of the last 24 hours, at most %s", what, most.Round(time.Millisecond)))
}

// day draws the bars of 24 hours as one path, and the marks as another: a page has very
// many of them.
func day(bars, marks [24]int, most int, description string) template.HTML {
	var b, bar, mark strings.Builder
	for i := range bars {
		if bars[i] > 0 {
			h := scaled(bars[i], most)
			fmt.Fprintf(&bar, "M%d %dh%dv%dh-%dz", i*hour, height-h, hour-1, h, hour-1)
		}
		if marks[i] > 0 {
			fmt.Fprintf(&mark, "M%d %dh%dv3h-%dz", i*hour, height-scaled(marks[i], most), hour-1, hour-1)
		}
	}
	begin(&b, description, width, height)
	fmt.Fprintf(&b, `<path class="bar" d="%s"/><path class="mark" d="%s"/>`, &bar, &mark)
	return end(&b)
}

// Column is one of several, with its parts from the bottom up.
type Column struct {
	Label string
	Parts []int
}

// Columns draws columns beside each other, whose parts have the classes part-0, part-1
// and so on.
func Columns(columns []Column, what string) template.HTML {
	const wide, high = 720.0, 140.0
	most := 1
	for _, c := range columns {
		most = max(most, sumOf(c.Parts))
	}
	var b strings.Builder
	begin(&b, what, wide, high+16)
	each := wide / float64(max(len(columns), 1))
	for i, c := range columns {
		y := high
		for part, n := range c.Parts {
			if n == 0 {
				continue
			}
			h := float64(n) / float64(most) * (high - 12)
			y -= h
			fmt.Fprintf(&b, `<rect class="part-%d" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`,
				part, float64(i)*each+1, y, max(each-2, 1), h, template.HTMLEscapeString(fmt.Sprintf("%s: %d", c.Label, n)))
		}
		if every := (len(columns) + 9) / 10; i%every == 0 {
			fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f">%s</text>`, float64(i)*each+1, high+12, template.HTMLEscapeString(c.Label))
		}
	}
	fmt.Fprintf(&b, `<text class="tick" x="1" y="10">%d</text>`, most)
	return end(&b)
}

func begin(b *strings.Builder, description string, wide, high float64) {
	text := template.HTMLEscapeString(description)
	fmt.Fprintf(b, `<svg class="plot" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s" preserveAspectRatio="none"><title>%s</title>`, wide, high, text, text)
}

func end(b *strings.Builder) template.HTML {
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// scaled is the height of a number; what is there can be seen.
func scaled(n, most int) int { return max(n*(height-4)/most, 3) }

func sumOf(all []int) (sum int) {
	for _, n := range all {
		sum += n
	}
	return sum
}
