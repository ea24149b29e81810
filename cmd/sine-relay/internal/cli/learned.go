package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/relay/learn"
	"github.com/sine-relay/sine-relay/visit"
)

// learned is what `learn --output json` prints.
type learned struct {
	Integration string `json:"integration"`
	// Bodies were read. Repeated are as others are, byte for byte.
	Bodies   int `json:"bodies"`
	Repeated int `json:"repeated"`
	// Unread is how many could not be read, by reason.
	Unread map[visit.Reason]int `json:"unread"`
	Fields []learnedField       `json:"fields"`
	Kinds  []learnedWord        `json:"kinds"`
	Causes []learnedWord        `json:"causes"`
	// Questions are for a person.
	Questions []string `json:"questions"`
	// Proposal is what is proposed, as an integrations file in YAML, or empty.
	Proposal string `json:"proposal"`
	// Written is the file that it was written into.
	Written string `json:"written,omitempty"`

	amendment config.Amendment
}

type learnedField struct {
	Field string `json:"field"`
	// State is found, proposed, open or not_found.
	State  learn.State `json:"state"`
	Places []string    `json:"places"`
	// Looks are what the values look like. Values are there with --values.
	Looks  []string `json:"looks"`
	Bodies int      `json:"bodies"` // that have it
	Basis  string   `json:"basis"`
	Values []string `json:"values,omitempty"`
}

// learnedWord is a word for a kind of event or a cause.
type learnedWord struct {
	Word string `json:"word"`
	// Means is absent where a person must say it.
	Means  string `json:"means,omitempty"`
	Bodies int    `json:"bodies"`
	Basis  string `json:"basis"`
}

func newLearned(target, integration string, r *learn.Report) (learned, error) {
	l := learned{
		Integration: integration, Bodies: r.Bodies, Repeated: r.Repeated, Unread: r.Unread, Fields: []learnedField{},
		Kinds: wordsOf(r.Kinds), Causes: wordsOf(r.Causes), Questions: append([]string{}, r.Questions...),
		amendment: config.Amendment{Integration: target, Settings: settingsOf(r)},
	}
	for _, f := range r.Fields {
		l.Fields = append(l.Fields, learnedField{
			string(f.Field), f.State, append([]string{}, f.Places...), append([]string{}, f.Looks...), f.In, f.Basis, f.Values,
		})
	}
	if len(l.amendment.Settings) == 0 {
		return l, nil
	}
	text, err := config.Amend(nil, l.amendment)
	l.Proposal = string(text)
	return l, err
}

func wordsOf[T ~string](all []learn.Alias[T]) []learnedWord {
	words := []learnedWord{}
	for _, a := range all {
		words = append(words, learnedWord{a.Word, string(a.Means), a.Bodies, a.Basis})
	}
	return words
}

// settingsOf are the settings that a report proposes.
func settingsOf(r *learn.Report) (all []config.AmendedSetting) {
	add := func(value any, why string, path ...string) {
		comment, _, _ := strings.Cut(why, ";") // what the bodies show besides is in the table
		all = append(all, config.AmendedSetting{Path: path, Value: value, Comment: comment})
	}
	for _, k := range r.Kinds {
		if k.Means != "" {
			add(string(k.Means), k.Basis, "kindAliases", k.Word)
		}
	}
	for _, f := range r.Fields {
		if f.State == learn.Proposed {
			add(r.Spec.Places[f.Field], f.Basis, "fields", string(f.Field))
		}
	}
	if r.Why["labels.label"] != "" {
		add(r.Spec.Labels, r.Why["labels.label"], "labels", "label")
	}
	if r.Why["labels.value"] != "" {
		add(r.Spec.Values, r.Why["labels.value"], "labels", "value")
	}
	if why := r.Why["dates.formats"]; why != "" {
		add(r.Spec.DateFormats, why, "dates", "formats")
	}
	if why := r.Why["dates.timeZone"]; why != "" {
		add(r.Spec.DateZone.String(), why, "dates", "timeZone")
	}
	for _, c := range r.Causes {
		if c.Means != "" {
			add(string(c.Means), c.Basis, "causeAliases", c.Word)
		}
	}
	return all
}

// print prints JSON, or YAML: what is proposed, and everything else as comments.
func (l learned) print(out io.Writer, format string) error {
	if format == asJSON {
		return printJSON(out, l)
	}
	var text bytes.Buffer
	l.describe(&text)
	for line := range strings.Lines(text.String()) {
		fmt.Fprintln(out, strings.TrimRight("# "+line, " \n"))
	}
	if l.Proposal == "" {
		_, err := fmt.Fprintln(out, "#\n# Nothing is proposed.")
		return err
	}
	_, err := fmt.Fprint(out, "\n"+terminal.PrintableLines(l.Proposal))
	return err
}

func (l learned) describe(out io.Writer) {
	fmt.Fprintf(out, "Integration %s: %s read", l.Integration, bodies(l.Bodies))
	if l.Repeated > 0 {
		fmt.Fprintf(out, ", and %d as others are", l.Repeated)
	}
	fmt.Fprintln(out, ".")
	for _, reason := range slices.Sorted(maps.Keys(l.Unread)) {
		fmt.Fprintf(out, "%s could not be read: %s.\n", bodies(l.Unread[reason]), reason)
	}
	if len(l.Fields) > 0 {
		fmt.Fprintln(out)
		table := newTable(out, "FIELD", "STATE", "PLACE", "LOOKS LIKE", "IN", "BASIS")
		for _, f := range l.Fields {
			looks := f.Looks
			if len(f.Values) > 0 {
				looks = f.Values
			}
			table.row(f.Field, strings.ReplaceAll(string(f.State), "_", " "), cmp.Or(strings.Join(f.Places, " or "), "-"), cmp.Or(strings.Join(looks, " or "), "-"),
				fmt.Sprintf("%d/%d", f.Bodies, l.Bodies), f.Basis)
		}
		table.flush()
	}
	for i, q := range l.Questions {
		if i == 0 {
			fmt.Fprintln(out, "\nOpen:")
		}
		fmt.Fprintf(out, "- %s\n", terminal.Printable(q))
	}
	l.choices(out)
}

// choices are settings of which a person must choose one, to be put beside the others.
func (l learned) choices(out io.Writer) {
	var lines []string
	for _, f := range l.Fields {
		if f.State == learn.Open && len(f.Places) > 0 {
			lines = append(lines, fmt.Sprintf("fields: {%s: [%s]}", f.Field, strings.Join(quotedAll(f.Places), "]}  or  {"+f.Field+": [")))
		}
	}
	for _, k := range l.Kinds {
		if k.Means == "" {
			lines = append(lines, fmt.Sprintf("kindAliases: {%s: check_in_request}  or  checked_in, checked_out", strconv.Quote(k.Word)))
		}
	}
	for i, line := range lines {
		if i == 0 {
			fmt.Fprintln(out, "\nWhat is right of these belongs beside the rest:")
		}
		fmt.Fprintln(out, "  "+terminal.Printable(line))
	}
}

func quotedAll(texts []string) (all []string) {
	for _, text := range texts {
		all = append(all, strconv.Quote(text))
	}
	return all
}

func bodies(n int) string {
	if n == 1 {
		return "1 body"
	}
	return fmt.Sprintf("%d bodies", n)
}

// tell says beside the data what was written, and what is next.
func (l *learning) tell(in Process, shown learned) {
	switch {
	case shown.Written != "":
		fmt.Fprintf(in.Stderr, "Written into %s. A relay that reads this file obeys it within seconds.\n", terminal.Printable(shown.Written))
	case l.write:
		fmt.Fprintln(in.Stderr, "Nothing was written: nothing is proposed.")
	case shown.Proposal != "":
		fmt.Fprintln(in.Stderr, "Nothing was changed; --write writes it into the integrations file.")
	}
}
