package desk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/desk/history"
	"github.com/sine-relay/sine-relay/desk/plot"
	"github.com/sine-relay/sine-relay/visit"
)

// decisionsData is what the page Decisions shows.
type decisionsData struct {
	Site, From, To, Result string
	Sites                  []doors.Site
	Results                []choice
	Problem                string
	Found                  history.Decisions
	List                   []recordData
	Parts                  []string
	Plot                   template.HTML
	Zone                   *time.Location
	SayZone                bool // the decisions are of several
	Page, LastPage         int
	Newer, Older           string // addresses
}

// choice is one of a list in a form.
type choice struct{ Value, Text string }

type recordData struct {
	visit.Record
	Took time.Duration
	Zone *time.Location
	Now  time.Time
}

var resultChoices = []choice{
	{"", "all"}, {visit.ResultRejected, "rejected"}, {visit.ResultAccepted, "accepted"}, {history.ResultFallback, "let in on a fallback"},
}

const (
	defaultDays = 7
	maxDays     = 366
)

func (d *Desk) showDecisions(w http.ResponseWriter, r *http.Request) {
	b := d.base(r, "Decisions", "/decisions")
	data, f, problem := d.filter(r)
	status := http.StatusOK
	if problem != "" {
		data.Problem, status = problem, http.StatusBadRequest
	} else if err := d.heavily(r.Context(), func(ctx context.Context) (err error) {
		data.Found, err = history.Read(ctx, d.broker, f, data.Page)
		return err
	}); err != nil {
		data.Problem, status = "Not everything can be read, so that nothing is shown. "+doors.Why(err), http.StatusServiceUnavailable
		data.Found = history.Decisions{}
	}
	d.fillDecisions(&data)
	b.Data = data
	d.show(w, status, "decisions", b)
}

func (d *Desk) fillDecisions(data *decisionsData) {
	var columns []plot.Column
	for _, day := range data.Found.Days {
		columns = append(columns, plot.Column{Label: day.Date, Parts: day.Parts})
	}
	data.Plot = plot.Columns(columns, fmt.Sprintf("Check-in requests by day, from %s to %s; the table below has the numbers", data.From, data.To))
	for _, record := range data.Found.List {
		data.List = append(data.List, recordData{record, time.Duration(record.TookMs * float64(time.Millisecond)), d.zoneOf(record.Site), d.now()})
	}
	address := func(page int) string {
		return "/decisions?" + url.Values{"site": {data.Site}, "from": {data.From}, "to": {data.To}, "result": {data.Result}, "page": {strconv.Itoa(page)}}.Encode()
	}
	if data.Page > 0 {
		data.Newer = address(data.Page - 1)
	}
	if data.Found.More {
		data.Older = address(data.Page + 1)
	}
}

// filter reads what is asked for, or says what is wrong with it.
func (d *Desk) filter(r *http.Request) (data decisionsData, f history.Filter, problem string) {
	u := access.UserOf(r.Context())
	data = decisionsData{
		Site: r.FormValue("site"), Result: r.FormValue("result"), From: r.FormValue("from"), To: r.FormValue("to"),
		Sites: d.sites(u, access.Viewer), Results: resultChoices, Parts: history.Parts, Zone: zoneOr(d.commonZone(u)), SayZone: d.commonZone(u) == nil, LastPage: history.MaxPages - 1,
	}
	data.Page, _ = strconv.Atoi(r.FormValue("page"))
	data.Page = min(max(data.Page, 0), data.LastPage)
	f = history.Filter{Sites: readable(u, access.Viewer), Result: data.Result}
	if data.Site != "" {
		if !visit.ValidName(data.Site) || !u.May(access.Viewer, data.Site) {
			data.Site = ""
			return data, f, "There is no such site, or you may not see it."
		}
		f.Sites, data.Zone, data.SayZone = []string{data.Site}, d.zoneOf(data.Site), false
	}
	f.Zone = data.Zone
	today := d.now().In(f.Zone)
	from, fromErr := day(data.From, today.AddDate(0, 0, 1-defaultDays), f.Zone)
	to, toErr := day(data.To, today, f.Zone)
	if fromErr != nil || toErr != nil || to.Before(from) || to.After(from.AddDate(0, 0, maxDays)) {
		data.From, data.To = "", ""
		return data, f, fmt.Sprintf("The first and the last day must be dates like 2026-11-18, in this order, and not more than %d days.", maxDays)
	}
	data.From, data.To = from.Format(time.DateOnly), to.Format(time.DateOnly)
	f.From, f.To = from, to.AddDate(0, 0, 1)
	for _, c := range resultChoices {
		if c.Value == data.Result {
			return data, f, ""
		}
	}
	data.Result = ""
	return data, f, "There is no such result."
}

// firstYear and lastYear bound the dates that are asked for: RFC 3339 has no year beyond
// four digits, and NATS is asked in it.
const firstYear, lastYear = 2000, 2199

// day is the beginning of a date, or of the day of a time where there is none.
func day(text string, otherwise time.Time, zone *time.Location) (time.Time, error) {
	if text == "" {
		text = otherwise.Format(time.DateOnly)
	}
	date, err := time.ParseInLocation(time.DateOnly, text, zone)
	if err == nil && (date.Year() < firstYear || date.Year() > lastYear) {
		err = errors.New("the year is out of range")
	}
	return date, err
}

// exportDecisions sends all that the filter means as CSV. It has no names.
func (d *Desk) exportDecisions(w http.ResponseWriter, r *http.Request) {
	data, f, problem := d.filter(r)
	if problem != "" {
		d.message(w, r, http.StatusBadRequest, "Not exported", problem)
		return
	}
	if !d.mayNow(w, r, visit.ActionExport) {
		return
	}
	u := access.UserOf(r.Context())
	for _, site := range f.Sites {
		ctx, cancel := context.WithTimeout(r.Context(), quickTimeout)
		err := d.audit(ctx, u, visit.ActionExport, site, "")
		cancel()
		if err != nil {
			d.message(w, r, http.StatusServiceUnavailable, "Not exported", "That you export it must be recorded, and that is not possible. "+doors.Why(err))
			return
		}
	}
	out := &attachment{w: w, control: http.NewResponseController(w), unread: d.unread, name: "decisions-" + data.From + "-" + data.To + ".csv"}
	err := d.heavily(r.Context(), func(ctx context.Context) error {
		buffer := bufio.NewWriterSize(out, 64<<10)
		table := history.NewCSV(buffer)
		if err := history.Each(ctx, d.broker, f, table.Write); err != nil {
			return err
		}
		if err := table.Flush(); err != nil {
			return err
		}
		return buffer.Flush()
	})
	switch {
	case err != nil && out.begun:
		panic(http.ErrAbortHandler) // so that nobody takes a part for the whole
	case err != nil:
		d.message(w, r, http.StatusServiceUnavailable, "Not exported", "Not everything can be read. "+doors.Why(err))
	}
}

// attachment writes the header of a file before its first bytes. A client that leaves a
// part unread loses the connection: it would keep a place from those who read.
type attachment struct {
	w       http.ResponseWriter
	control *http.ResponseController
	unread  time.Duration
	name    string
	begun   bool
}

func (a *attachment) Write(b []byte) (int, error) {
	if !a.begun {
		a.begun = true
		a.w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
		a.w.Header().Set("Content-Disposition", `attachment; filename="`+a.name+`"`)
	}
	_ = a.control.SetWriteDeadline(time.Now().Add(a.unread))
	// Over HTTP/2 a deadline that passes ends the stream, also while nothing is written.
	defer a.control.SetWriteDeadline(time.Now().Add(2 * heavyTimeout))
	n, err := a.w.Write(b)
	if err == nil {
		err = a.control.Flush()
	}
	return n, err
}
