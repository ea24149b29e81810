package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/shape"
	"github.com/sine-relay/sine-relay/visit"
)

// decoded is what `decode --output json` prints.
type decoded struct {
	// Result is "event", "check_in_request", "incomplete" or "quarantined".
	Result string `json:"result"`
	// Reason is that of the quarantine.
	Reason  visit.Reason `json:"reason,omitempty"`
	Kind    visit.Kind   `json:"kind,omitempty"`
	Subject string       `json:"subject,omitempty"`
	// EventID says where the event's id comes from: body or random.
	EventID string `json:"eventId,omitempty"`
	// Visit is the basis of the visit's key.
	Visit     visit.VisitKeyBasis `json:"visit,omitempty"`
	TimeBasis visit.TimeBasis     `json:"timeBasis,omitempty"`
	Cause     visit.Cause         `json:"cause,omitempty"`
	Answers   int                 `json:"answers"`
	// UnreadAnswers is set when there are more answers, of an unknown shape.
	UnreadAnswers bool     `json:"unreadAnswers,omitempty"`
	Missing       []string `json:"missing"`
	// Unasked are the deciders that would not be asked, since the body lacks what they
	// expect.
	Unasked     []unaskedDecider `json:"unasked,omitempty"`
	Fields      []decodedField   `json:"fields"`
	UnknownKeys []unknownKey     `json:"unknownKeys"`
	// Omitted is how many more unknown keys there are.
	Omitted int `json:"omitted,omitempty"`
	// Unread are values to which places lead and that are in no field.
	Unread []unreadValue `json:"unread"`

	named  visit.Kind
	values bool
	event  *visit.Event
}

type decodedField struct {
	Field string `json:"field"`
	// At are pointers: several for the parts of a template.
	At []string `json:"at"`
	// Place is that of the configuration, or empty for a built-in one.
	Place string `json:"place,omitempty"`
	// Type is what the value looks like. Value is there with --values.
	Type  string `json:"type,omitempty"`
	Value string `json:"value,omitempty"`
}

type unaskedDecider struct {
	Decider string   `json:"decider"`
	Missing []string `json:"missing"`
}

type unknownKey struct {
	At   string `json:"at"`
	Type string `json:"type"`
}

type unreadValue struct {
	unknownKey
	Field fields.Field `json:"field,omitempty"`
	Why   fields.Why   `json:"why"`
}

func newDecode(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "decode", Short: "Print what would become of a body that Sine sends.",
		Long: "Prints the kind of webhook that the body is, each field and the place where it was found, what is missing\n" +
			"of what is expected, the keys that lead to no field, and the values that a place leads to and that are in no\n" +
			"field all the same. No NATS is needed. Values are left out, and keys that do not read like the name of a\n" +
			"field are shown as {}, unless --values is given.\n\n" +
			"Ends with 1 where the body would go to the quarantine, or is a check-in request that lacks something.",
		Example: "  sine-relay decode --integration lobby --file body.json\n  sine-relay decode --integration lobby --kind checked_in --file -",
	}
	var integration, file, kind string
	var values bool
	f := cmd.Flags()
	f.StringVar(&integration, "integration", relay.DefaultIntegration, "`name` of the integration at whose URL the body arrives")
	f.StringVar(&file, "file", "", "`file` with the body; - reads the standard input")
	addChoice(cmd, &kind, "kind", "", "kind", kindNames, "kind that the URL names, where it names one")
	f.BoolVar(&values, "values", false, "print values: they are personal data")
	format := addOutput(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		if file == "" {
			return usagef("--file is needed: a file with the body, or - for the standard input")
		}
		return decodeBody(in, *format, integration, file, visit.Kind(kind), values)
	}
	return cmd
}

var kindNames = []string{string(visit.KindCheckInRequest), string(visit.KindCheckedIn), string(visit.KindCheckedOut)}

func decodeBody(in Process, format, integration, file string, kind visit.Kind, values bool) error {
	settings, err := config.LoadOffline(in.Environ)
	if err != nil {
		return err
	}
	if problems := settings.Invalid[integration]; len(problems) > 0 {
		return problems
	}
	if _, err := siteOf(settings, integration); err != nil {
		return err
	}
	body, err := readBody(in, file, settings.BodyLimit)
	if err != nil {
		return err
	}
	reader, err := relay.NewReader(settings.Integrations, server.Limits(settings))
	if err != nil {
		return err
	}
	d, err := reader.Decode(integration, kind, body, time.Now(), visit.Subjects{Prefix: settings.SubjectPrefix})
	if err != nil {
		return err
	}
	return newDecoded(d, values).print(in.Stdout, format)
}

// readBody reads no more than a relay would.
func readBody(in Process, file string, limit int64) ([]byte, error) {
	source := in.Stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer opened.Close()
		source = opened
	}
	body, err := io.ReadAll(io.LimitReader(source, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("the body is larger than SINE_RELAY_BODY_LIMIT, %d bytes: the relay would keep its beginning in the quarantine", limit)
	}
	return body, nil
}

func newDecoded(d relay.Decoded, values bool) decoded {
	shown := decoded{
		Reason: d.Reason, Kind: d.Kind, Subject: d.Subject, Missing: []string{}, Fields: []decodedField{},
		UnknownKeys: []unknownKey{}, Unread: []unreadValue{},
		named: d.Named, values: values, event: d.Event,
	}
	if d.Report != nil {
		shown.report(d.Report)
	}
	if d.Event == nil {
		shown.Result = "quarantined"
		return shown
	}
	shown.Visit, shown.TimeBasis, shown.Cause = d.Event.Visit.Basis, d.Event.TimeBasis, d.Event.Cause
	shown.Missing = append(shown.Missing, d.Event.Missing...)
	for _, u := range d.Unmet {
		shown.Unasked = append(shown.Unasked, unaskedDecider(u))
	}
	switch {
	case d.Kind.IsEvent():
		shown.Result, shown.EventID = "event", "random"
		if d.IDFromBody {
			shown.EventID = "body"
		}
	case len(d.Unmet) > 0:
		shown.Result = "incomplete"
	default:
		shown.Result = string(d.Kind)
	}
	return shown
}

func (d *decoded) report(r *fields.Report) {
	d.Answers, d.UnreadAnswers, d.Omitted = len(r.Pass.FormAnswers), r.UnreadAnswers, r.Omitted
	for _, f := range r.Found {
		field := decodedField{Field: string(f.Field)}
		for _, at := range f.At {
			field.At = append(field.At, d.masked(r, at))
		}
		if f.Origin == fields.Configured {
			field.Place = f.Place
		}
		switch {
		case f.Field == fields.Answers:
			field.Type = plural(d.Answers, "answer")
			if n := withoutLabel(r.Pass.FormAnswers); n > 0 {
				field.Type += fmt.Sprintf(", %d without a label", n)
			}
		case f.Field == fields.Event && !d.values:
			field.Type = fmt.Sprintf("names %s", cmp.Or(string(d.named), "no kind that is known: kindAliases may give it one"))
		case f.Value != "":
			field.Type = shape.Text(f.Value)
		}
		if d.values {
			field.Value = f.Value
		}
		d.Fields = append(d.Fields, field)
	}
	for _, key := range r.UnknownKeys {
		d.UnknownKeys = append(d.UnknownKeys, unknownKey{d.masked(r, key.At), key.Type})
	}
	for _, u := range r.Unread {
		d.Unread = append(d.Unread, unreadValue{unknownKey{d.masked(r, u.At), u.Type}, u.Field, u.Why})
	}
	if !d.values { // what is masked may be there many times over
		d.UnknownKeys, d.Unread = compact(d.UnknownKeys), compact(d.Unread)
	}
}

func withoutLabel(answers []visit.FormAnswer) (n int) {
	for _, a := range answers {
		if a.Label == "" {
			n++
		}
	}
	return n
}

func (d *decoded) masked(r *fields.Report, at string) string {
	if d.values {
		return at
	}
	return shape.Pointer(r.WithoutData(at))
}

func compact[T comparable](all []T) []T {
	once := []T{}
	for _, k := range all {
		if !slices.Contains(once, k) {
			once = append(once, k)
		}
	}
	return once
}

// print prints everything, and returns an error where the body is not what the relay
// needs.
func (d decoded) print(out io.Writer, format string) error {
	var err error
	if d.Result == "quarantined" || d.Result == "incomplete" {
		err = errReported
	}
	if format == asJSON {
		return errors.Join(printJSON(out, d), err)
	}
	d.printOutcome(out)
	if len(d.Fields) > 0 {
		fmt.Fprintln(out)
		table := newTable(out, "FIELD", "FOUND AT", "BY", "VALUE")
		for _, f := range d.Fields {
			value := cmp.Or(f.Value, f.Type)
			if d.unreadable(f) {
				value += "; it cannot be read"
			}
			table.row(f.Field, strings.Join(f.At, " and "), d.by(f), value)
		}
		table.flush()
	}
	if len(d.UnknownKeys) > 0 {
		fmt.Fprintln(out)
		table := newTable(out, "UNKNOWN KEY", "TYPE")
		for _, k := range d.UnknownKeys {
			table.row(k.At, k.Type)
		}
		table.flush()
	}
	if d.Omitted > 0 {
		fmt.Fprintf(out, "%s more\n", plural(d.Omitted, "unknown key"))
	}
	d.printUnread(out)
	return err
}

func (d decoded) printUnread(out io.Writer) {
	if len(d.Unread) == 0 {
		return
	}
	fmt.Fprintln(out)
	table := newTable(out, "IN NO FIELD", "TYPE", "WHY")
	for _, u := range d.Unread {
		table.row(u.At, u.Type, u.why())
	}
	table.flush()
}

func (u unreadValue) why() string {
	field := string(u.Field)
	return map[fields.Why]string{
		fields.OtherPlace:     field + " is taken from another place, which is tried earlier",
		fields.Unusable:       "is not a value of " + field + ": another type, or no id",
		fields.SameAsPerson:   "is the id of the person, and would make one visit of all their visits",
		fields.HalfTemplate:   "is a part of a template for " + field + ", of which another part has no value",
		fields.OutsideWrapper: "is outside of the wrapper, where built-in places of " + field + " do not count",
		fields.NoPlace:        "no place leads to this element, or through a value of this type",
	}[u.Why]
}

// by is the place of a field. Where the field is expected and missing all the same, the
// configuration names others.
func (d decoded) by(f decodedField) string {
	switch {
	case f.Place != "":
		return f.Place
	case slices.Contains(d.Missing, f.Field) && !d.unreadable(f):
		return "built-in place; it is expected at one of the configuration"
	default:
		return "built-in place"
	}
}

func (d decoded) visitText() string {
	switch {
	case d.Visit == visit.VisitKeyFromSine:
		return "has a key: check-in and check-out of the visit can be joined, and keep their order"
	case slices.ContainsFunc(d.Unread, func(u unreadValue) bool { return u.Why == fields.SameAsPerson }):
		return "has no key: the id that was found is that of the person"
	default:
		return "has no key: nothing joins a check-out to its check-in"
	}
}

func (d decoded) timeText() string {
	switch {
	case d.TimeBasis == visit.TimeFromSine:
		return "as Sine writes it, with its zone"
	case d.TimeBasis == visit.TimeInAssumedZone:
		return "as Sine writes it, in the zone of the configuration: Sine names none"
	case slices.ContainsFunc(d.Fields, d.unreadable):
		return "that of the receipt: the date that was found cannot be read; dates.formats may name its format"
	default:
		return "that of the receipt: no date was found"
	}
}

// unreadable reports whether a field is a date that cannot be read.
func (d decoded) unreadable(f decodedField) bool {
	return f.Field == string(fields.Date) && d.TimeBasis == visit.TimeReceived
}

func (d decoded) printOutcome(out io.Writer) {
	table := newTable(out)
	defer table.flush()
	switch d.Result {
	case "quarantined":
		table.row("result", "it would go to the quarantine: "+string(d.Reason))
		return
	case "incomplete":
		table.row("result", "a check-in request that lacks what is expected")
		for _, u := range d.Unasked {
			table.row("unasked", u.Decider+", which expects "+strings.Join(u.Missing, ", ")+": its fallback incomplete would count")
		}
	case string(visit.KindCheckInRequest):
		table.row("result", "a check-in request")
	default:
		table.row("result", "an event: "+string(d.Kind))
	}
	table.row("subject", d.Subject)
	switch {
	case d.EventID == "body":
		table.row("event id", "from the body, whose date is known: a repeat is recognised")
	case d.EventID != "":
		table.row("event id", "random: the body has no date that can be read; a repeat would be another event")
	}
	table.row("visit", d.visitText())
	table.row("time", d.timeText())
	if d.values {
		table.row("", terminal.Printable(d.event.Time.Format(time.RFC3339Nano)))
	}
	if d.Cause != "" {
		table.row("cause", string(d.Cause))
	}
	switch missing := strings.Join(d.Missing, ", "); {
	case missing == "":
	case d.Kind.IsEvent():
		table.row("missing", missing+": the event is stored, and marked")
	default:
		table.row("missing", missing)
	}
	if d.UnreadAnswers {
		table.row("answers", "some are not of a known shape: labels may name their keys")
	}
}
