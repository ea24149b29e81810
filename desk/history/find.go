// Package history reads what is stored: all of one visit, and the decisions of some days.
//
// It keeps no name and nothing else of a person, although the events have them: who looks
// at a time line need not be one who may see names.
package history

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Reader is what is stored. The methods are those of the desk's broker.
type Reader interface {
	Records(ctx context.Context, site, result string, from, to time.Time, fn func(visit.Record) error) error
	Events(ctx context.Context, site string, from, to time.Time, fn func(visit.Event) error) error
	Decisions(ctx context.Context, from, to time.Time, fn func(sequence uint64, r *visit.Record)) (since time.Time, reading bool, err error)
	CheckIns(ctx context.Context, from, to time.Time, fn func(e *visit.Event)) (since time.Time, reading bool, err error)
	RecordsAt(ctx context.Context, sequences []uint64, fn func(sequence uint64, r visit.Record)) error
}

const (
	// maxFound bounds what is shown of one visit.
	maxFound = 100
	// around is how long before and after what was found the rest of the visit may be.
	around = 48 * time.Hour
)

// Query says what is looked for.
type Query struct {
	// ID is a request id, a reference, an event's id or a visit's key.
	ID string
	// Sites are those in which it is looked for; every site where it is [visit.AllSites].
	Sites    []string
	From, To time.Time
}

// Visit is what was found of a visit, or of several where a reference was used twice.
type Visit struct {
	Records []visit.Record
	// Events are without the person, answers and source.
	Events []visit.Event
	// Cut is set where there was more than is kept.
	Cut bool
}

// Find looks for what has an id, and then for the rest of that visit.
func Find(ctx context.Context, r Reader, q Query) (Visit, error) {
	id := strings.TrimSpace(q.ID)
	reference := strings.ToUpper(id)
	var v Visit
	err := v.scan(ctx, r, q, func(record *visit.Record) bool {
		return record.RequestID == id || record.RequestID == reference || record.Reference == reference || record.Visit.Value == id
	}, func(e *visit.Event) bool {
		return e.ID == id || e.Corrects == id || e.RequestID == id || e.Visit.Value == id || visit.Reference(e.RequestID) == reference
	})
	if err != nil {
		return Visit{}, err
	}
	keys, originals, from, to := v.rest()
	if len(keys)+len(originals) > 0 {
		q.From, q.To = from.Add(-around), to.Add(around)
		err = v.scan(ctx, r, q, func(record *visit.Record) bool { return keys[record.Visit.Value] },
			func(e *visit.Event) bool { return keys[e.Visit.Value] || originals[e.OriginalID()] })
	}
	slices.SortStableFunc(v.Records, func(a, b visit.Record) int { return a.Received.Compare(b.Received) })
	slices.SortStableFunc(v.Events, func(a, b visit.Event) int {
		return cmp.Or(a.Received.Compare(b.Received), cmp.Compare(a.Revision, b.Revision))
	})
	return v, err
}

// rest says how the rest of the visit is recognized, and between when it was found.
func (v *Visit) rest() (keys, originals map[string]bool, from, to time.Time) {
	keys, originals = map[string]bool{}, map[string]bool{}
	note := func(key visit.VisitKey, at time.Time) {
		if key.FromSine() {
			keys[key.Value] = true
		}
		if from.IsZero() || at.Before(from) {
			from = at
		}
		if at.After(to) {
			to = at
		}
	}
	for i := range v.Records {
		note(v.Records[i].Visit, v.Records[i].Received)
	}
	for i := range v.Events {
		note(v.Events[i].Visit, v.Events[i].Received)
		originals[v.Events[i].OriginalID()] = true
	}
	return keys, originals, from, to
}

// scan adds what is wanted and not there yet.
func (v *Visit) scan(ctx context.Context, r Reader, q Query, record func(*visit.Record) bool, event func(*visit.Event) bool) error {
	for _, site := range q.Sites {
		err := r.Records(ctx, anySite(site), "", q.From, q.To, func(found visit.Record) error {
			if record(&found) && !slices.ContainsFunc(v.Records, func(old visit.Record) bool { return old.RequestID == found.RequestID }) {
				if len(v.Records) == maxFound {
					return errEnough
				}
				v.Records = append(v.Records, found)
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		v.Cut = v.Cut || err != nil
		err = r.Events(ctx, anySite(site), q.From, q.To, func(found visit.Event) error {
			if event(&found) && !slices.ContainsFunc(v.Events, func(old visit.Event) bool { return old.ID == found.ID }) {
				if len(v.Events) == maxFound {
					return errEnough
				}
				found.Pass, found.Source = visit.Pass{}, nil
				v.Events = append(v.Events, found)
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		v.Cut = v.Cut || err != nil
	}
	return nil
}

var errEnough = errors.New("more than is kept")

// anySite is what the methods of Reader take for a site.
func anySite(site string) string {
	if site == visit.AllSites {
		return ""
	}
	return site
}
