package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// rederived is what `rederive --output json` prints.
type rederived struct {
	// Events are those that today's configuration reads otherwise.
	Events []correctionRow `json:"events"`
	// Fields sums their changes up.
	Fields []fieldCount `json:"fields"`
	// Unread are the events that cannot be read again.
	Unread []unreadCount `json:"unread"`
	// Read is how many events were read, and Corrections how many of them are
	// corrections.
	Read        int `json:"read"`
	Corrections int `json:"corrections"`
	// OtherKinds are the events whose body names another kind than they are stored as.
	OtherKinds []otherKind `json:"otherKinds"`
	// Zones are those in which dates were read that have none of their own.
	Zones      []zoneCount `json:"zones"`
	Submitted  bool        `json:"submitted"`
	Stored     int         `json:"stored"`
	Duplicates int         `json:"duplicates"`
	Failed     int         `json:"failed"`
}

// correctionRow is an event, or a correction of it, and what is to correct it.
type correctionRow struct {
	Event       string        `json:"event"` // the id of the original
	Kind        visit.Kind    `json:"kind"`
	Site        string        `json:"site"`
	Integration string        `json:"integration"`
	Received    time.Time     `json:"received"`
	RequestID   string        `json:"requestId"`
	Correction  string        `json:"correction"` // its id
	Revision    int           `json:"revision"`
	Changes     []fieldChange `json:"changes"`
	Result      string        `json:"result"`
	Error       string        `json:"error,omitempty"`
}

// otherKind is an event that is stored as one kind and whose body names another.
type otherKind struct {
	Event       string     `json:"event"`
	Kind        visit.Kind `json:"kind"`
	Named       visit.Kind `json:"named"`
	Site        string     `json:"site"`
	Integration string     `json:"integration"`
	Received    time.Time  `json:"received"`
	RequestID   string     `json:"requestId"`
}

// Results of a correction.
const (
	correctionReady     = "ready" // and not stored without --submit
	correctionStored    = "stored"
	correctionDuplicate = "duplicate"
	correctionFailed    = "failed"
)

// fieldChange is a typed field, by its path in the event's JSON, that becomes another.
type fieldChange struct {
	Field  string `json:"field"`
	Change string `json:"change"`
	// Before and After are personal data, and absent without --values.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// How a field changes.
const (
	fieldFilled  = "filled"
	fieldChanged = "changed"
	fieldEmptied = "emptied"
)

type fieldCount struct {
	Field   string `json:"field"`
	Filled  int    `json:"filled"`
	Changed int    `json:"changed"`
	Emptied int    `json:"emptied"`
}

type unreadCount struct {
	Reason string `json:"reason"`
	Events int    `json:"events"`
}

// zoneCount is how many events were read in a time zone, and who says that it is theirs.
type zoneCount struct {
	Zone   string `json:"zone"`
	From   string `json:"from"`
	Events int    `json:"events"`
}

// Who says which zone it is.
const (
	zoneConfigured = "configuration"
	zoneOfEvent    = "event"
)

// Reasons why an event cannot be read again.
const (
	reasonNoSource           = "no_source"
	reasonUnknownIntegration = "unknown_integration"
	reasonUnreadable         = "unreadable"
	reasonNotAnEvent         = "not_an_event"
	reasonDeleted            = "deleted"
)

// reasonWordsOf say what a reason means.
var reasonWordsOf = map[string]string{
	reasonNoSource:           "the event has no source",
	reasonUnknownIntegration: "its integration is not configured here",
	reasonUnreadable:         "its source is not understood today",
	reasonNotAnEvent:         "another program than the relay wrote it",
	reasonDeleted:            "it was deleted meanwhile",
}

func reasonUnread(err error) string {
	switch {
	case errors.Is(err, relay.ErrNoSource):
		return reasonNoSource
	case errors.Is(err, relay.ErrUnknownIntegration):
		return reasonUnknownIntegration
	default:
		return reasonUnreadable
	}
}

func newRederived() rederived {
	return rederived{Events: []correctionRow{}, Fields: []fieldCount{}, Unread: []unreadCount{}, OtherKinds: []otherKind{}, Zones: []zoneCount{}}
}

func (r *rederived) unread(reason string) {
	i := slices.IndexFunc(r.Unread, func(u unreadCount) bool { return u.Reason == reason })
	if i < 0 {
		i = len(r.Unread)
		r.Unread = append(r.Unread, unreadCount{Reason: reason})
	}
	r.Unread[i].Events++
}

// inZone counts an event whose date was read in a zone.
func (r *rederived) inZone(read relay.Rederived) {
	if read.Zone == "" {
		return
	}
	from := zoneConfigured
	if read.ZoneOfEvent {
		from = zoneOfEvent
	}
	i := slices.IndexFunc(r.Zones, func(z zoneCount) bool { return z.Zone == read.Zone && z.From == from })
	if i < 0 {
		i = len(r.Zones)
		r.Zones = append(r.Zones, zoneCount{Zone: read.Zone, From: from})
	}
	r.Zones[i].Events++
}

func (r *rederived) add(row correctionRow) {
	r.Events = append(r.Events, row)
	switch row.Result {
	case correctionStored:
		r.Stored++
	case correctionDuplicate:
		r.Duplicates++
	case correctionFailed:
		r.Failed++
	}
	for _, c := range row.Changes {
		i := slices.IndexFunc(r.Fields, func(f fieldCount) bool { return f.Field == c.Field })
		if i < 0 {
			i = len(r.Fields)
			r.Fields = append(r.Fields, fieldCount{Field: c.Field})
		}
		switch f := &r.Fields[i]; c.Change {
		case fieldFilled:
			f.Filled++
		case fieldEmptied:
			f.Emptied++
		default:
			f.Changed++
		}
	}
}

func rowOfCorrection(stored, correction *visit.Event, values bool) (correctionRow, error) {
	row := correctionRow{
		Event: correction.Corrects, Kind: stored.Kind, Site: stored.Site, Integration: stored.Integration, Received: stored.Received.UTC(),
		RequestID: stored.RequestID, Correction: correction.ID, Revision: correction.Revision, Result: correctionReady,
	}
	before, err := typedFields(*stored)
	if err != nil {
		return row, err
	}
	after, err := typedFields(*correction)
	if err != nil {
		return row, err
	}
	row.Changes = changes(before, after)
	if !values {
		for i := range row.Changes {
			row.Changes[i].Before, row.Changes[i].After = "", ""
		}
	}
	return row, nil
}

// typedFields are what an event says, by paths in its JSON: any that is added to the
// contract is among them. A list is one field.
func typedFields(e visit.Event) (map[string]string, error) {
	e.ID, e.Corrects, e.Revision, e.Source = "", "", 0, nil
	data, err := visit.MarshalEvent(&e)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for name, value := range object {
		addField(fields, name, value)
	}
	return fields, nil
}

func addField(fields map[string]string, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			addField(fields, path+"."+name, inner)
		}
	case []any:
		text, _ := json.Marshal(v) // it was JSON before
		fields[path] = string(text)
	default:
		fields[path] = fmt.Sprint(v)
	}
}

// changes are in the order of the fields' names.
func changes(before, after map[string]string) []fieldChange {
	all := maps.Clone(before)
	maps.Copy(all, after)
	var found []fieldChange
	for _, field := range slices.Sorted(maps.Keys(all)) {
		was, had := before[field]
		is, has := after[field]
		switch {
		case !had:
			found = append(found, fieldChange{field, fieldFilled, "", is})
		case !has:
			found = append(found, fieldChange{field, fieldEmptied, was, ""})
		case was != is:
			found = append(found, fieldChange{field, fieldChanged, was, is})
		}
	}
	return found
}

func (r *rederived) print(out io.Writer, format string) error {
	slices.SortFunc(r.Fields, func(a, b fieldCount) int { return strings.Compare(a.Field, b.Field) })
	if format == asJSON {
		return printJSON(out, r)
	}
	r.printEvents(out)
	if len(r.Fields) > 0 {
		table := newTable(out, "FIELD", "FILLED", "CHANGED", "EMPTIED")
		for _, f := range r.Fields {
			table.row(f.Field, f.Filled, f.Changed, f.Emptied)
		}
		table.flush()
		fmt.Fprintln(out)
	}
	if len(r.OtherKinds) > 0 {
		table := newTable(out, "RECEIVED", "SITE", "INTEGRATION", "KIND", "EVENT", "BODY NAMES")
		for _, e := range r.OtherKinds {
			table.row(formatTime(e.Received), e.Site, e.Integration, e.Kind, e.Event, e.Named)
		}
		table.flush()
		fmt.Fprintln(out)
	}
	if len(r.Zones) > 0 {
		table := newTable(out, "DATES WITHOUT A ZONE IN", "EVENTS", "AS SAID BY")
		for _, z := range r.Zones {
			table.row(z.Zone, z.Events, map[string]string{zoneConfigured: "the configuration", zoneOfEvent: "the events"}[z.From])
		}
		table.flush()
		fmt.Fprintln(out)
	}
	if len(r.Unread) > 0 {
		table := newTable(out, "NOT READ AGAIN", "EVENTS", "REASON")
		for _, u := range r.Unread {
			table.row(u.Reason, u.Events, reasonWordsOf[u.Reason])
		}
		table.flush()
		fmt.Fprintln(out)
	}
	r.sumUp(out)
	return nil
}

func (r *rederived) printEvents(out io.Writer) {
	if len(r.Events) == 0 {
		return
	}
	table := newTable(out, "RECEIVED", "SITE", "INTEGRATION", "KIND", "EVENT", "RESULT", "FIELDS")
	for _, e := range r.Events {
		result := map[string]string{correctionReady: "would be corrected", correctionStored: "corrected", correctionDuplicate: "was corrected already"}[e.Result]
		if e.Error != "" {
			result = "failed: " + e.Error
		}
		table.row(formatTime(e.Received), e.Site, e.Integration, e.Kind, e.Event, result, fieldWords(e.Changes))
	}
	table.flush()
	fmt.Fprintln(out)
}

// fieldWords name the fields, with their values where there are any.
func fieldWords(all []fieldChange) string {
	words := make([]string, len(all))
	for i, c := range all {
		words[i] = c.Field
		if c.Before != "" || c.After != "" {
			words[i] += fmt.Sprintf(" %q -> %q", c.Before, c.After)
		}
	}
	return strings.Join(words, ", ")
}

func (r *rederived) sumUp(out io.Writer) {
	fmt.Fprintf(out, "%s read, %d of them corrections.\n", plural(r.Read, "event"), r.Corrections)
	if n := len(r.OtherKinds); n > 0 {
		fmt.Fprintf(out, "The bodies of %s name another kind than is stored; a correction keeps the kind.\n", plural(n, "event"))
	}
	if slices.ContainsFunc(r.Fields, func(f fieldCount) bool { return f.Field == "timeZone" }) && !r.Submitted {
		fmt.Fprintln(out, "Time zones would be others: timeZone must be set here as for the relays.")
	}
	if r.Submitted {
		fmt.Fprintf(out, "%s stored, %d duplicates, %d failed.\n", plural(r.Stored, "correction"), r.Duplicates, r.Failed)
		return
	}
	fmt.Fprintf(out, "%d would be corrected. Nothing was changed; --submit stores the corrections.\n", len(r.Events))
}
