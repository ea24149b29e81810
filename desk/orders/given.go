package orders

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// maxGiven bounds what is remembered of what was given.
const maxGiven = 200

// Given is an order that was given, or a lift.
type Given struct {
	Form  Form
	Order visit.Order
	// Revision is the one that relays have read when they obey a lift.
	Revision uint64
	At       time.Time
	// Before are the relays that answered before it.
	Before []visit.Relay
	// NotRecorded is why there is no record of who gave it, or empty.
	NotRecorded string
}

// Book remembers what was given, by a key that each page has one of: a form that is sent
// again gives nothing again. It is safe for concurrent use, and its zero value is empty.
type Book struct {
	mu   sync.Mutex
	all  map[string]*entry
	done []string // keys of what was given, the oldest first
}

type entry struct {
	given *Given
	done  chan struct{} // closed when it is given, or is not
}

// Begin reports whether nothing was given for a key, and keeps others from giving it until
// [Book.Note], which must follow.
func (b *Book) Begin(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all[key] != nil {
		return false
	}
	if b.all == nil {
		b.all = map[string]*entry{}
	}
	b.all[key] = &entry{done: make(chan struct{})}
	return true
}

// Note remembers what was given; with nil, that nothing was. Only what was noted is
// forgotten when there is too much: somebody waits for the rest.
func (b *Book) Note(key string, g *Given) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.all[key]
	e.given = g
	close(e.done)
	if g == nil {
		delete(b.all, key)
		return
	}
	b.done = append(b.done, key)
	if len(b.done) > maxGiven {
		delete(b.all, b.done[0])
		b.done = b.done[1:]
	}
}

// Find returns what was given for a key, or nil. It waits while it is being given.
func (b *Book) Find(ctx context.Context, key string) *Given {
	b.mu.Lock()
	e := b.all[key]
	b.mu.Unlock()
	if e == nil {
		return nil
	}
	select {
	case <-e.done:
		return e.given
	case <-ctx.Done():
		return nil
	}
}

// Answer is what one relay says.
type Answer struct {
	ID    string
	Obeys bool
	Text  string
}

// Answers are those of the relays that an order concerns.
type Answers struct {
	Relays []Answer
	// Obeying of Of relays obey. Elsewhere counts the relays that do not have the site.
	Obeying, Of, Elsewhere int
}

// Complete reports whether each relay that the order concerns obeys it.
func (a Answers) Complete() bool { return a.Of > 0 && a.Obeying == a.Of }

// Answers compares what was given with what the relays say now.
func (g *Given) Answers(now []visit.Relay) (a Answers) {
	for _, r := range now {
		switch {
		case !has(r, g.Form.Site):
			a.Elsewhere++
		case g.obeys(r):
			a.Obeying++
			a.Relays = append(a.Relays, Answer{r.ID, true, "obeys"})
		default:
			text := "does not obey yet"
			if !r.OrdersKnown {
				text += "; it does not know the standing orders"
			}
			a.Relays = append(a.Relays, Answer{ID: r.ID, Text: text + fmt.Sprintf(" (it is %s)", visit.CleanText(r.State))})
		}
	}
	for _, r := range g.Before {
		gone := !slices.ContainsFunc(now, func(n visit.Relay) bool { return n.ID == r.ID })
		if gone && has(r, g.Form.Site) {
			a.Relays = append(a.Relays, Answer{ID: r.ID, Text: "does not answer any more"})
		}
	}
	a.Of = len(a.Relays)
	return a
}

func (g *Given) obeys(r visit.Relay) bool {
	isIt := func(o visit.RelayOrder) bool { return o.ID == g.Order.Identity() }
	if g.Form.Action == Lift {
		isIt = func(o visit.RelayOrder) bool { return o.Kind == g.Form.Kind && o.Site == g.Form.Site }
		return r.OrdersRevision >= g.Revision && !slices.ContainsFunc(r.Orders, isIt)
	}
	return slices.ContainsFunc(r.Orders, isIt)
}

// has reports whether a relay has a site, or may have it.
func has(r visit.Relay, site string) bool {
	return site == visit.AllSites || r.SiteCount > len(r.Sites) || slices.Contains(r.Sites, site)
}

// Asker asks the relays for all pages that wait for them to obey. It is safe for
// concurrent use, and its zero value has asked nobody.
type Asker struct {
	mu    sync.Mutex
	until time.Time
	last  []visit.Relay
	err   error
}

// answerLasts is how long the answer of the relays is true.
const answerLasts = 400 * time.Millisecond

// Relays returns what ask does, or did a moment ago.
func (a *Asker) Relays(ctx context.Context, ask func(context.Context) ([]visit.Relay, error)) ([]visit.Relay, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Now().After(a.until) {
		a.last, a.err = ask(ctx)
		a.until = time.Now().Add(answerLasts)
	}
	return a.last, a.err
}
