package relay

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// Template is the JSON object of a response, with placeholders in its texts. It
// is filled value by value and then encoded, so that nothing in a decider's
// text can break or forge the body.
type Template struct{ fields map[string]any }

// Placeholders that a template's texts may hold.
const (
	placeholderText    = "{visitorText}"
	placeholderNote    = "{adminNote}"
	placeholderRef     = "{ref}"
	placeholderDecider = "{decider}"
)

// Placeholders lists what a template's texts may hold.
var Placeholders = []string{placeholderText, placeholderNote, placeholderRef, placeholderDecider}

// The responses that Sine is believed to read; see the page on connecting Sine
// for how sure anyone is of each field.
var (
	DefaultAccept = mustTemplate(map[string]any{"code": "SUCCESS", "adminNotes": placeholderNote, "visitorNotes": placeholderText})
	DefaultReject = mustTemplate(map[string]any{"code": "REJECTED", "message": placeholderText, "adminNotes": placeholderNote, "visitorNotes": placeholderText})
)

// NewTemplate makes a template from a JSON object: texts, numbers, booleans,
// nulls, lists and objects. A brace in a text that is not part of a placeholder is an error.
func NewTemplate(fields map[string]any) (Template, error) {
	if len(fields) == 0 {
		return Template{}, fmt.Errorf("is empty: a response needs at least one field")
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := checkTemplate(name, fields[name]); err != nil {
			return Template{}, err
		}
	}
	return Template{fields}, nil
}

func mustTemplate(fields map[string]any) Template {
	t, err := NewTemplate(fields)
	if err != nil {
		panic(err) // a constant of this file is wrong
	}
	return t
}

func checkTemplate(path string, v any) error {
	switch v := v.(type) {
	case string:
		rest := v
		for _, p := range Placeholders {
			rest = strings.ReplaceAll(rest, p, "")
		}
		if at := strings.IndexAny(rest, "{}"); at >= 0 {
			return fmt.Errorf("%s: %q contains a brace that is not part of a placeholder; the placeholders are %s", path, v, strings.Join(Placeholders, " "))
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if err := checkTemplate(path+"."+name, v[name]); err != nil {
				return err
			}
		}
	case []any:
		for i, e := range v {
			if err := checkTemplate(fmt.Sprintf("%s[%d]", path, i), e); err != nil {
				return err
			}
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s: %v is not a JSON number", path, v)
		}
	case nil, bool, int, int64, uint64:
	default:
		return fmt.Errorf("%s: a %T is not a JSON value", path, v)
	}
	return nil
}

// fill returns the body of a response. Fields that the decider adds to an
// accepted pass go in where the template has no field of that name; a text that
// was nothing but placeholders and came out blank is left out. Texts come from
// operators, too, so they are cleaned here, where all of them pass.
func (t Template) fill(d visit.Decision, reference string) []byte {
	text := func(s string) string { return visit.CleanText(strings.ReplaceAll(s, placeholderRef, reference)) }
	values := filling{placeholderText: text(d.VisitorText), placeholderNote: text(d.AdminNote), placeholderRef: reference, placeholderDecider: text(d.Decider)}

	out := make(map[string]any, len(t.fields)+len(d.Pass))
	if d.Verdict == visit.Accept {
		t.extend(out, d.Pass)
	}
	for name, value := range t.fields {
		if filled, ok := values.fill(value); ok {
			out[name] = filled
		}
	}
	body, err := json.Marshal(out)
	if err != nil {
		// Every value was checked by NewTemplate or parsed as JSON.
		panic(fmt.Sprintf("encode response: %v", err))
	}
	return body
}

// extend adds a decider's fields, but for those of a name that the template or
// another decider has. A reader may take "CODE" for "code", and the last of two, so
// names that differ in case only are one.
func (t Template) extend(out map[string]any, pass map[string]json.RawMessage) {
	taken := slices.Collect(maps.Keys(t.fields))
	for _, name := range slices.Sorted(maps.Keys(pass)) {
		if !slices.ContainsFunc(taken, func(other string) bool { return strings.EqualFold(other, name) }) {
			out[name] = pass[name]
			taken = append(taken, name)
		}
	}
}

// filling is what stands for each placeholder.
type filling map[string]string

// fill returns a value with its placeholders replaced, and whether it is to be
// there at all.
func (f filling) fill(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		text := f.text(v)
		return text, !visit.IsBlank(text) || visit.IsBlank(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, value := range v {
			if filled, ok := f.fill(value); ok {
				out[name] = filled
			}
		}
		return out, true
	case []any:
		out := make([]any, 0, len(v))
		for _, value := range v {
			if filled, ok := f.fill(value); ok {
				out = append(out, filled)
			}
		}
		return out, true
	default:
		return v, true
	}
}

// text replaces the placeholders in a text at once, so that what stands for one
// is not looked through for others.
func (f filling) text(s string) string {
	if value, whole := f[s]; whole {
		return value
	}
	if !strings.Contains(s, "{") {
		return s
	}
	var pairs []string
	for placeholder, value := range f {
		pairs = append(pairs, placeholder, value)
	}
	return strings.NewReplacer(pairs...).Replace(s)
}
