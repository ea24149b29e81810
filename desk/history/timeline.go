package history

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// delivery is what a webhook may take until its time counts as another one.
const delivery = time.Second

// Item is one thing that happened to a visit.
type Item struct {
	// At is by the relay's clock, so that a check-in request is before its event
	// whatever time Sine sends.
	At time.Time
	// Sine is the time that Sine sent, where that is another one, and zero otherwise.
	Sine              time.Time
	Site, Integration string
	Title             string
	// Lines say more, one thing each.
	Lines []string
	// Record is set for a check-in request, and Event for an event.
	Record *visit.Record
	Event  *visit.Event
	// Replaced is set for an event that a correction stands in the place of.
	Replaced bool
}

// Timeline is what happened, in order. Words says a situation in words.
func (v *Visit) Timeline(words func(situation string) string) (items []Item) {
	for i := range v.Records {
		items = append(items, requestItem(&v.Records[i]), answerItem(&v.Records[i], words))
	}
	for i := range v.Events {
		items = append(items, v.eventItem(&v.Events[i]))
	}
	slices.SortStableFunc(items, func(a, b Item) int { return a.At.Compare(b.At) })
	return items
}

func requestItem(r *visit.Record) Item {
	item := Item{At: r.Received, Site: r.Site, Integration: r.Integration, Title: "Check-in request", Record: r}
	item.Lines = append(item.Lines, "Request "+r.RequestID+", reference "+r.Reference)
	if r.Visit.Value != "" {
		item.Lines = append(item.Lines, "Visit "+r.Visit.Value)
	}
	if r.Synthetic {
		item.Lines = append(item.Lines, "A test by an operator: there is no visitor")
	}
	for _, field := range r.Missing {
		item.Lines = append(item.Lines, "Missing from what Sine sent: "+field)
	}
	return item
}

func answerItem(r *visit.Record, words func(string) string) Item {
	took := time.Duration(r.TookMs * float64(time.Millisecond))
	verdict := "accepted"
	if r.Verdict == visit.Reject {
		verdict = "rejected"
	}
	item := Item{At: r.Received.Add(took), Site: r.Site, Integration: r.Integration, Title: "Answered: " + verdict}
	if r.Fallback {
		item.Title += " by a fallback"
	}
	item.Lines = append(item.Lines, fmt.Sprintf("After %.1f ms: %s. Rule: %s", r.TookMs, words(r.Situation), r.Rule))
	if o := r.Order; o != nil {
		item.Lines = append(item.Lines, fmt.Sprintf("By the %s of %s, given %s", o.Kind, cmp.Or(o.By, o.User, "somebody"), o.Since.UTC().Format("2006-01-02 15:04 MST")))
	}
	for _, vote := range r.Votes {
		item.Lines = append(item.Lines, voteLine(vote, words))
	}
	return item
}

func voteLine(v visit.Vote, words func(string) string) string {
	line := "Decider " + v.Decider
	if v.Version != "" {
		line += " (version " + visit.CleanText(v.Version) + ")"
	}
	line += ": "
	if v.Situation == visit.SituationDecided {
		line += string(v.Verdict)
	} else {
		line += words(v.Situation)
		if v.Verdict != "" {
			line += ", its fallback: " + string(v.Verdict)
		}
	}
	if v.TookMs > 0 {
		line += fmt.Sprintf(", %.1f ms", v.TookMs)
	}
	if v.Shadow {
		line += ". It is a shadow: this did not count"
	}
	return line
}

func (v *Visit) eventItem(e *visit.Event) Item {
	item := Item{At: e.Received, Site: e.Site, Integration: e.Integration, Title: "Checked in", Event: e}
	if e.Kind == visit.KindCheckedOut {
		item.Title = checkOutTitle(e.Cause)
	}
	if e.Corrects != "" {
		item.Title = fmt.Sprintf("Correction %d: %s", e.Revision, item.Title)
	}
	for i := range v.Events {
		item.Replaced = item.Replaced || v.Events[i].Supersedes(e)
	}
	if e.Time.Sub(e.Received).Abs() >= delivery {
		item.Sine = e.Time
	}
	item.Lines = append(item.Lines, "Event "+e.ID+", request "+e.RequestID)
	if e.Visit.Value != "" {
		item.Lines = append(item.Lines, "Visit "+e.Visit.Value)
	} else {
		item.Lines = append(item.Lines, "Sine sent no id of the visit, so that its other events are not found from here")
	}
	switch e.TimeBasis {
	case visit.TimeInAssumedZone:
		item.Lines = append(item.Lines, "The time came without a zone and was read in that of the site")
	case visit.TimeReceived:
		item.Lines = append(item.Lines, "Sine sent no usable time: it is when the relay received it")
	}
	for _, field := range e.Missing {
		item.Lines = append(item.Lines, "Missing from what Sine sent: "+field)
	}
	return item
}

func checkOutTitle(c visit.Cause) string {
	switch c {
	case visit.CauseCheckedOut:
		return "Checked out"
	case visit.CauseExpired:
		return "Pass expired: the visitor may still be inside"
	case visit.CauseLeftArea:
		return "Checked out: the visitor's telephone left the site's area"
	default:
		return "Checked out, why is not known: the visitor may still be inside"
	}
}
