package plot

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"
)

// check fails where a picture is no XML, has a style or no description.
func check(t *testing.T, svg string) (rects int) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return rects
		} else if err != nil {
			t.Fatalf("%v: %s", err, svg)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if e.Name.Local == "rect" {
			rects++
		}
		for _, a := range e.Attr {
			if a.Name.Local == "d" {
				rects += strings.Count(a.Value, "M")
			}
			if a.Name.Local == "style" || strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") || a.Name.Local == "aria-label" && a.Value == "" {
				t.Errorf("%s has %s=%q", e.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
}

func TestHours_ShowEachHour(t *testing.T) {
	bars, marks := [24]int{3: 10, 23: 1}, [24]int{3: 8}
	svg := string(Hours(bars, marks, `Requests <&"`))
	if n := check(t, svg); n != 3 || !strings.Contains(svg, "in the last 24 hours: 11, at most 10 in an hour") {
		t.Errorf("%d bars: %s", n, svg)
	}
	check(t, string(Hours([24]int{}, [24]int{}, "Requests")))
	var full [24]int
	for i := range full {
		full[i] = 1000 + i
	}
	if size := len(Hours(full, full, "Requests")); size > 1200 {
		t.Errorf("a full day takes %d bytes", size)
	}
}

func TestRanges_ShowTheHoursThatHadAny(t *testing.T) {
	svg := string(Ranges([24]time.Duration{5: time.Millisecond}, [24]time.Duration{5: 20 * time.Millisecond}, "Times"))
	if n := check(t, svg); n != 2 || !strings.Contains(svg, "at most 20ms") {
		t.Errorf("%d bars: %s", n, svg)
	}
}

func TestColumns_ShowPartsOneAboveTheOther(t *testing.T) {
	svg := string(Columns([]Column{{`<b>`, []int{1, 0, 3}}, {"b", []int{0, 0, 0}}}, "Days"))
	if n := check(t, svg); n != 2 || strings.Contains(svg, "<b>") {
		t.Errorf("%d parts: %s", n, svg)
	}
	check(t, string(Columns(nil, "Days")))
}
