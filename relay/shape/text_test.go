package shape

import (
	"fmt"
	"strings"
)

// maxColumn bounds how far a long path moves the forms of all to the right.
const maxColumn = 48

// Text is the shape as a listing for people: a line for the body, one for each
// header, one for each field, and one for what was left out.
func (s Shape) Text() string {
	lines := []string{s.Body.text()}
	for _, h := range s.Headers {
		lines = append(lines, h.text())
	}
	column := 0
	for _, f := range s.Fields {
		column = max(column, min(len(f.Path), maxColumn))
	}
	for _, f := range s.Fields {
		lines = append(lines, fmt.Sprintf("%-*s  %s", column, f.Path, f.text()))
	}
	if s.Cut != (Cut{}) {
		lines = append(lines, s.Cut.text())
	}
	return strings.Join(lines, "\n") + "\n"
}

func (b Body) text() string {
	said := []string{exactly(b.Bytes).of("byte")}
	add := func(holds bool, what string) {
		if holds {
			said = append(said, what)
		}
	}
	add(b.UTF8, "UTF-8")
	add(!b.UTF8, "not UTF-8")
	add(b.BOM, "with a byte order mark")
	add(b.JSON, "JSON")
	add(!b.JSON, "no JSON after "+exactly(b.StoppedAt).of("byte"))
	add(true, fmt.Sprintf("depth %d", b.Depth))
	add(b.DuplicateKeys > 0, exactly(b.DuplicateKeys).of("duplicate key"))
	add(b.TrailingSpace > 0, exactly(b.TrailingSpace).of("byte")+" of white space at the end")
	return strings.Join(said, ", ")
}

func (h Header) text() string {
	line := "header " + h.Name + ": "
	if len(h.Values) == h.Count && h.Count > 0 {
		return line + strings.Join(h.Values, "; ")
	}
	line += exactly(h.Count).of("value")
	for _, length := range h.Lengths {
		line += ", " + exactly(length).of("character")
	}
	for _, value := range h.Values {
		line += "; " + value
	}
	return line
}

func (f Field) text() string {
	said := formsText(f.Values)
	if f.More > 0 {
		said += fmt.Sprintf("; ×%d in further forms", f.More)
	}
	if len(f.Keys) > 0 {
		said += " (keys: " + formsText(f.Keys) + ")"
	}
	return said
}

func formsText(forms []Form) string {
	said := make([]string, 0, len(forms))
	for _, f := range forms {
		text := f.text()
		if len(forms) > 1 || f.Count != 1 {
			text = fmt.Sprintf("×%d %s", f.Count, text)
		}
		said = append(said, text)
	}
	return strings.Join(said, "; ")
}

// units are what Length counts.
var units = map[string]string{"string": "character", "number": "digit", "object": "key", "array": "element"}

func (f Form) text() string {
	if f.Value != "" {
		return fmt.Sprintf("%s %q", f.Type, f.Value)
	}
	said := f.Type
	if f.Length != (Range{}) || f.Class == "" && units[f.Type] != "" {
		said += ", " + f.Length.of(units[f.Type])
	}
	if f.Class != "" {
		said += ", " + f.Class
	}
	if f.Format != "" {
		said += ": " + f.Format
	}
	switch {
	case f.Class == "url":
		said += ", " + f.Parts.of("path segment")
	case f.Parts != (Range{}):
		said += ", " + f.Parts.of("word")
	}
	return said
}

// of is the range with what it counts, such as "1 key" or "2–7 words".
func (r Range) of(unit string) string {
	switch {
	case r == exactly(1):
		return "1 " + unit
	case r.Min == r.Max:
		return fmt.Sprintf("%d %ss", r.Min, unit)
	default:
		return fmt.Sprintf("%d–%d %ss", r.Min, r.Max, unit)
	}
}

func (c Cut) text() string {
	var said []string
	for _, part := range []struct {
		n    int
		unit string
	}{
		{c.Headers, "header"}, {c.Values, "value"}, {c.TooDeep, "too deep value"}, {c.Fields, "field"},
	} {
		if part.n > 0 {
			said = append(said, exactly(part.n).of(part.unit))
		}
	}
	return "left out: " + strings.Join(said, ", ")
}
