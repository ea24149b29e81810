package fields

import (
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// Report says what was found in a body, and where. Beside what the body holds it has
// pointers alone; a pointer has the keys of the body.
type Report struct {
	*Body
	// Found are the fields that have a value, in the order of [All].
	Found []Found
	// UnknownKeys are those that lead to no field, the outermost of each branch, in
	// the order of the body, at most [MaxUnknown]. Omitted is how many more there are.
	UnknownKeys []UnknownKey
	Omitted     int
	// Unselected are the elements of lists that no place selects though others of the
	// list are selected, by the texts that would: /data/items/name=Company. They are at
	// most [MaxUnknown].
	Unselected []string
	// Unread are the values to which places lead and that are in no field, in the order of
	// the body, at most [MaxUnknown].
	Unread []Unread

	any map[string]bool // pointers to which only a "*" leads, by a key
}

// WithoutData is a pointer of the report with "*" for each key to which a "*" of the
// configuration leads: such a key is data, such as a name or an id.
func (r *Report) WithoutData(pointer string) string {
	if len(r.any) == 0 {
		return pointer
	}
	keys := strings.Split(pointer, "/")
	at := ""
	for i, key := range keys[1:] {
		if at += "/" + key; r.any[at] {
			keys[i+1] = "*"
		}
	}
	return strings.Join(keys, "/")
}

// MaxUnknown bounds [Report.UnknownKeys].
const MaxUnknown = 256

// Found is a field that has a value.
type Found struct {
	Field Field
	// At is the pointer to the value, as the body spells it, or the pointers to the
	// parts of a template.
	At []string
	// Place is the place of the configuration that leads there, or the built-in one.
	Place  string
	Origin Origin
	// Value is the text of the value; it is empty for [Wrapper] and [Answers].
	Value string
}

// UnknownKey is a key that leads to no field.
type UnknownKey struct {
	At string
	// Type is that of its value: object, list, string, number, boolean or null.
	Type string
}

// Explain is [Fields.Read], and says where each field was found. It takes several times
// as long.
func (f *Fields) Explain(source []byte, maxDepth int) (*Report, visit.Reason) {
	text, reason := textOf(source, maxDepth)
	if reason != "" {
		return nil, reason
	}
	r := f.reading(text, maxDepth)
	r.trace = newTrace(f, "")
	if r.all(text) != nil {
		return nil, visit.ReasonNotJSON
	}
	r.Source = source
	report := &Report{Body: r.Body, UnknownKeys: r.trace.unknownKeys(), Unread: r.unread(), any: r.trace.any}
	if more := len(report.UnknownKeys) - MaxUnknown; more > 0 {
		report.UnknownKeys, report.Omitted = report.UnknownKeys[:MaxUnknown], more
	}
	report.Unread = report.Unread[:min(len(report.Unread), MaxUnknown)]
	report.Unselected = r.trace.unselected[:min(len(r.trace.unselected), MaxUnknown)]
	for field, name := range All {
		from := field
		if r.places[field] == ofWholeName {
			from = wholeNames[field]
		}
		if r.places[field] > 0 {
			report.Found = append(report.Found, Found{name, r.trace.at[from], f.placeOf(from, int(r.places[from])), r.origin(from), r.shown(field)})
		}
	}
	return report, ""
}

// shown is the text that was found of a field.
func (r *reading) shown(field int) string {
	if field == wrapper || field == answers {
		return ""
	}
	return *r.text(field)
}

// placeOf is the place of a number as it is written.
func (f *Fields) placeOf(field, number int) string {
	own := f.configured[field]
	if number <= len(own) {
		return own[number-1]
	}
	return builtin[field][number-len(own)-1]
}

// trace follows a reading. A nil trace does nothing.
type trace struct {
	base    string // pointer to the object that is read
	path    []string
	at      [fieldCount][]string
	parts   []string
	unknown []UnknownKey
	// unselected is for [Report.Unselected].
	unselected []string
	// reached and answersAt are for [Report.Unread].
	reached   []reached
	answersAt []string
	// led has the pointers to which some node leads, set where the value is of use to one:
	// several nodes may be at a pointer, and what is unknown to one of them need not be to
	// the others.
	led map[string]bool
	// any is for [Report.WithoutData].
	any map[string]bool
	// quiet is set while unknown keys are not noted: something else reads them.
	quiet bool
}

var escapes = strings.NewReplacer("~", "~0", "/", "~1")

// here is the pointer to what is read.
func (t *trace) here() string {
	if t == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString(t.base)
	for _, key := range t.path {
		b.WriteString("/" + escapes.Replace(key))
	}
	return b.String()
}

// in notes that an element of a list is read, until the returned function is called.
func (t *trace) in(at int) (out func()) {
	if t == nil {
		return func() {}
	}
	return t.key(indexText(at))
}

func (t *trace) key(key string) (out func()) {
	t.path = append(t.path, key)
	return func() { t.path = t.path[:len(t.path)-1] }
}

func (t *trace) found(field int) { t.at[field] = []string{t.here()} }

func (t *trace) part(slot int) { t.parts[slot] = t.here() }

func (t *trace) joined(field int, parts []int) {
	var all []string
	for _, slot := range parts {
		all = append(all, t.parts[slot])
	}
	t.at[field] = all
}

// unknownKeys are the keys from which no node leads on, each once.
func (t *trace) unknownKeys() (all []UnknownKey) {
	seen := map[string]bool{}
	for _, u := range t.unknown {
		if _, led := t.led[u.At]; !led && !seen[u.At] {
			seen[u.At] = true
			all = append(all, u)
		}
	}
	return all
}

// traced is member with a trace.
func (r *reading) traced(n, next *node, in *jsonReader, name string) error {
	defer r.trace.key(name)()
	if next == nil && n.any == nil {
		if kind := in.peek(); !r.trace.quiet && (n.selectedBy == "" || keyOf(name) != n.selectedBy) {
			r.trace.unknown = append(r.trace.unknown, UnknownKey{r.trace.here(), typeOf(kind)})
		}
		return in.skip()
	}
	here := r.trace.here()
	if !r.trace.led[here] {
		r.trace.led[here] = false // known, at least
	}
	if next == nil {
		r.trace.any[here] = true
	}
	return r.either(in, name, next, n.any)
}

// quietly reads without noting unknown keys.
func (t *trace) quietly(read func() error) error {
	if t == nil || t.quiet {
		return read()
	}
	t.quiet = true
	defer func() { t.quiet = false }()
	return read()
}

func typeOf(kind byte) string {
	switch kind {
	case '{':
		return "object"
	case '[':
		return "list"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	default:
		return "number"
	}
}
