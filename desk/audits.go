package desk

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/visit"
)

// auditData is what the page Audit shows.
type auditData struct {
	Problem        string
	Days           int
	Entries        []*auditEntry
	Action, By     string
	Actions, Users []choice
	Page, LastPage int
	Newer, Older   string // addresses
}

// auditEntry is what a user did once, or several times within an hour.
type auditEntry struct {
	visit.Audit // the first time
	Times       int
	Last        time.Time
	What        string
	Zone        *time.Location
	Now         time.Time
}

var actionWords = map[visit.Action]string{
	visit.ActionReveal: "asked for the name of a visitor", visit.ActionSource: "asked for what Sine sent", visit.ActionExport: "exported decisions",
	visit.ActionLockdown: "gave a lockdown", visit.ActionOverride: "gave an override", visit.ActionLift: "lifted an order",
	visit.ActionTry: "checked a made-up visitor in or out", visit.ActionSignOut: "signed out",
}

const (
	auditDays = 30
	// auditPageSize is how many entries are listed at once, and auditPages how many pages
	// of them there are.
	auditPageSize = 100
	auditPages    = 20
	// maxAuditUsers bounds the users who can be chosen, and maxFolded what is compared
	// with.
	maxAuditUsers = 500
	maxFolded     = 10_000
)

func (d *Desk) showAudit(w http.ResponseWriter, r *http.Request) {
	u := access.UserOf(r.Context())
	b := d.base(r, "Audit", "/audit")
	data := auditData{Days: auditDays, Action: r.FormValue("action"), By: r.FormValue("by"), Actions: []choice{{"", "everything"}}, LastPage: auditPages - 1}
	data.Page, _ = strconv.Atoi(r.FormValue("page"))
	data.Page = min(max(data.Page, 0), data.LastPage)
	for _, action := range slices.Sorted(maps.Keys(actionWords)) {
		data.Actions = append(data.Actions, choice{string(action), actionWords[action]})
	}
	status := http.StatusOK
	if data.Action != "" && actionWords[visit.Action(data.Action)] == "" {
		status, data.Problem, data.Action = http.StatusBadRequest, "There is no such action.", ""
	} else if err := d.heavily(r.Context(), func(ctx context.Context) error { return d.readAudit(ctx, u, &data) }); err != nil {
		data.Problem, status = doors.Why(err), http.StatusServiceUnavailable
	}
	b.Data = data
	d.show(w, status, "audit", b)
}

// readAudit fills a page with what a user may see and has asked for.
func (d *Desk) readAudit(ctx context.Context, u access.User, data *auditData) error {
	users := map[string]bool{}
	list := auditList{most: (data.Page+1)*auditPageSize + 1} // one more shows that another page follows
	err := d.broker.Audits(ctx, d.now().AddDate(0, 0, -auditDays), time.Time{}, func(a visit.Audit) error {
		if a.Site != visit.AllSites && !u.May(access.Viewer, a.Site) {
			return nil
		}
		if len(users) < maxAuditUsers {
			users[a.User] = true
		}
		if (data.Action == "" || string(a.Action) == data.Action) && (data.By == "" || userToken(a.User) == data.By) {
			list.add(a)
		}
		return nil
	})
	data.Users = []choice{{"", "everybody"}}
	for _, user := range slices.Sorted(maps.Keys(users)) {
		data.Users = append(data.Users, choice{userToken(user), user})
	}
	newest := list.newest()
	from := min(data.Page*auditPageSize, len(newest))
	to := min(from+auditPageSize, len(newest))
	data.Entries = newest[from:to]
	for _, e := range data.Entries {
		e.What, e.Zone, e.Now = cmp.Or(doneWords(e.Audit), string(e.Action)), d.zoneFor(u, e.Site), d.now()
	}
	if data.Page > 0 {
		data.Newer = data.address(data.Page - 1)
	}
	if len(newest) > to && data.Page < data.LastPage {
		data.Older = data.address(data.Page + 1)
	}
	return err
}

func (data *auditData) address(page int) string {
	return "/audit?" + url.Values{"action": {data.Action}, "by": {data.By}, "page": {strconv.Itoa(page)}}.Encode()
}

// userToken stands for a user in an address, which browsers and proxies keep.
func userToken(user string) string {
	sum := sha256.Sum256([]byte(user))
	return hex.EncodeToString(sum[:8])
}

// auditList keeps the last ones of many that come in the order of their times. What one
// user did again within the same hour is one entry: it must not push the others away.
type auditList struct {
	most   int
	all    []*auditEntry
	hour   time.Time
	folded map[visit.Audit]*auditEntry
}

func (l *auditList) add(a visit.Audit) {
	hour := a.Time.UTC().Truncate(time.Hour)
	if l.folded == nil || !hour.Equal(l.hour) || len(l.folded) >= maxFolded {
		l.hour, l.folded = hour, map[visit.Audit]*auditEntry{}
	}
	same := visit.Audit{Action: a.Action, Site: a.Site, Subject: a.Subject, User: a.User, Role: a.Role}
	if e := l.folded[same]; e != nil {
		e.Times++
		e.Last = a.Time
		return
	}
	e := &auditEntry{Audit: a, Times: 1, Last: a.Time}
	l.folded[same] = e
	l.all = append(l.all, e)
	if len(l.all) >= 2*l.most {
		l.all = slices.Clone(l.all[len(l.all)-l.most:])
	}
}

// newest are the entries, the newest first.
func (l *auditList) newest() []*auditEntry {
	all := slices.Clone(l.all[max(0, len(l.all)-l.most):])
	slices.Reverse(all)
	return all
}
