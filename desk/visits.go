package desk

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/desk/history"
	"github.com/sine-relay/sine-relay/visit"
)

// visitData is what the page Visit shows.
type visitData struct {
	Searched string // the id, empty before a search
	Days     int
	Choices  []int
	Problem  string
	Items    []itemData
	Cut      bool
	Revealed *revealed
	// Contradictions are the one thing of a visit that security must see.
	Contradictions []contradictionData
}

type contradictionData struct {
	history.Contradiction
	Zone *time.Location
	Now  time.Time
}

// itemData is an item of the time line with what a template needs.
type itemData struct {
	history.Item
	Zone *time.Location
	Now  time.Time
	// Reveal and Source are set where the user may see the name, and what Sine sent.
	Reveal, Source bool
}

// revealed is what was shown of one event, and recorded.
type revealed struct {
	Event visit.Event
	// Source is what Sine sent, where that was asked for.
	Source string
	By     string
	Zone   *time.Location
	Now    time.Time
}

var searchDays = []int{2, 7, 30}

// idForm and isID are what request ids, references, event ids and keys of visits look like.
// A name is none: it must not be sought for, as it is in no record.
var idForm = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)

func isID(s string) bool { return len(s) <= 128 && idForm.MatchString(s) }

// anEvent is what the ids of events look like: nothing else gets into a record.
var anEvent = regexp.MustCompile(`^[0-9a-f]{32}$`)

// findVisit searches by what the address says, which has ids only.
func (d *Desk) findVisit(w http.ResponseWriter, r *http.Request) {
	id := r.FormValue("event")
	if id == "" {
		id = r.FormValue("request")
	}
	d.showVisit(w, r, id, nil)
}

// searchVisit searches by what somebody entered.
func (d *Desk) searchVisit(w http.ResponseWriter, r *http.Request) {
	d.showVisit(w, r, r.PostFormValue("id"), nil)
}

func (d *Desk) showVisit(w http.ResponseWriter, r *http.Request, id string, shown *revealed) {
	b := d.base(r, "Visit", "/visit")
	data := visitData{Days: searchDays[0], Choices: searchDays, Revealed: shown}
	if days, err := strconv.Atoi(r.FormValue("days")); err == nil && slices.Contains(searchDays, days) {
		data.Days = days
	}
	status := http.StatusOK
	switch id = strings.TrimSpace(id); {
	case id == "":
	case !isID(id):
		status, data.Problem = http.StatusBadRequest, "That is neither a reference nor an id. A search by name is not possible."
	default:
		data.Searched = id
		q, problem := d.query(r, id, data.Days)
		if problem != "" {
			status, data.Problem = http.StatusBadRequest, problem
			break
		}
		status = d.fillVisit(r, q, &data)
	}
	b.Data = data
	d.show(w, status, "visit", b)
}

// query reads what is searched for, or says what is wrong with it.
func (d *Desk) query(r *http.Request, id string, days int) (q history.Query, problem string) {
	u := access.UserOf(r.Context())
	q = history.Query{ID: id, Sites: readable(u, access.Viewer), From: d.now().AddDate(0, 0, -days)}
	if site := r.FormValue("site"); site != "" {
		if !visit.ValidName(site) {
			return q, "That is not the name of a site."
		}
		if u.May(access.Viewer, site) {
			q.Sites = []string{site}
		}
	}
	if text := r.FormValue("at"); text != "" {
		at, ok := d.unixTime(text)
		if !ok {
			return q, "That is not a time at which something can be stored."
		}
		q.From, q.To = at.Add(-time.Hour), at.Add(time.Hour)
	}
	return q, ""
}

// unixTime reads a time in seconds since 1970. One beyond those that a stored message can
// have would be an error of the broker's.
func (d *Desk) unixTime(text string) (at time.Time, ok bool) {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds <= 0 || seconds > d.now().AddDate(1, 0, 0).Unix() {
		return at, false
	}
	return time.Unix(seconds, 0), true
}

// fillVisit reads what is stored of a visit, and returns the status of the page.
func (d *Desk) fillVisit(r *http.Request, q history.Query, data *visitData) int {
	u := access.UserOf(r.Context())
	var found history.Visit
	err := d.heavily(r.Context(), func(ctx context.Context) (err error) {
		found, err = history.Find(ctx, d.broker, q)
		return err
	})
	if err != nil {
		data.Problem = "What is stored cannot be read. " + doors.Why(err)
		return http.StatusServiceUnavailable
	}
	data.Cut = found.Cut
	for _, c := range found.Contradictions() {
		data.Contradictions = append(data.Contradictions, contradictionData{c, d.zoneOf(c.Site), d.now()})
	}
	for _, item := range found.Timeline(situationWords) {
		i := itemData{Item: item, Zone: d.zoneOf(item.Site), Now: d.now()}
		if item.Event != nil {
			i.Reveal, i.Source = u.May(access.Reception, item.Site), u.May(access.Operator, item.Site)
		}
		data.Items = append(data.Items, i)
	}
	if len(data.Items) == 0 && data.Revealed == nil {
		data.Problem = "Nothing with this id was found in what you may see. What Sine sent longer ago than the days that were searched, or NATS does not keep any more, is not found."
		return http.StatusNotFound
	}
	return http.StatusOK
}

func situationWords(s string) string {
	if words := doors.Situations[s]; words != "" {
		return words
	}
	return s
}

// reveal shows the names of one event, and revealSource what Sine sent: for names
// reception is enough, and the source has everything that the visitor entered.
func (d *Desk) reveal(w http.ResponseWriter, r *http.Request) {
	d.revealAs(w, r, access.Reception, visit.ActionReveal)
}

func (d *Desk) revealSource(w http.ResponseWriter, r *http.Request) {
	d.revealAs(w, r, access.Operator, visit.ActionSource)
}

func (d *Desk) revealAs(w http.ResponseWriter, r *http.Request, role access.Role, action visit.Action) {
	u, site, id := access.UserOf(r.Context()), r.PostFormValue("site"), r.PostFormValue("event")
	at, ok := d.unixTime(r.PostFormValue("at"))
	if !ok || !anEvent.MatchString(id) || !visit.ValidName(site) || !u.May(role, site) {
		d.notFound(w, r)
		return
	}
	if !d.mayNow(w, r, action) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), quickTimeout)
	defer cancel()
	if err := d.audit(ctx, u, action, site, id); err != nil {
		d.message(w, r, http.StatusServiceUnavailable, "Not shown", "That you see it must be recorded, and that is not possible. "+doors.Why(err))
		return
	}
	e, err := d.broker.Event(ctx, site, id, at)
	switch {
	case errors.Is(err, visit.ErrNotFound):
		d.message(w, r, http.StatusNotFound, "Not found", "NATS does not have this event any more. That you asked for it is recorded.")
		return
	case err != nil:
		d.message(w, r, http.StatusServiceUnavailable, "Not shown", "The event cannot be read. That you asked for it is recorded. "+doors.Why(err))
		return
	}
	shown := &revealed{Event: e, By: string(role), Zone: d.zoneOf(site), Now: d.now()}
	if action == visit.ActionSource {
		shown.Source = string(e.Source)
	}
	if r.Header.Get("Sine-Relay-Desk") != "fragment" {
		d.showVisit(w, r, id, shown)
		return
	}
	text, err := d.pages.Part("visit", "revealed", shown)
	if err != nil {
		d.failed(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write([]byte(text))
}

// audit records what somebody does, before it is done.
func (d *Desk) audit(ctx context.Context, u access.User, action visit.Action, site, subject string) error {
	a := visit.Audit{ID: visit.NewRequestID(), Time: d.now().UTC(), Action: action, Site: site, Subject: subject, User: u.ID}
	for _, role := range access.Roles {
		if u.May(role, site) {
			a.Role = string(role)
		}
	}
	return d.broker.Audit(ctx, a)
}

// readable are the sites that somebody has a role at, also those of which the desk has
// not heard: [visit.AllSites] where it is all of them.
func readable(u access.User, role access.Role) (sites []string) {
	if u.May(role, visit.AllSites) {
		return []string{visit.AllSites}
	}
	for _, g := range u.Grants {
		for _, site := range g.Sites {
			if u.May(role, site) && !slices.Contains(sites, site) {
				sites = append(sites, site)
			}
		}
	}
	slices.Sort(sites)
	return sites
}

// heavily does what reads much, of which there may be little at once.
func (d *Desk) heavily(ctx context.Context, do func(context.Context) error) error {
	waiting, cancel := context.WithTimeout(ctx, quickTimeout)
	defer cancel()
	release, err := d.heavy.acquire(waiting, access.UserOf(ctx).ID)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancelReading := context.WithTimeout(ctx, heavyTimeout)
	defer cancelReading()
	err = do(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(errors.New("it took too long: ask for fewer days"), err)
	}
	return err
}
