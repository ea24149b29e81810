package desk

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/visit"
)

// tryData is what the page Try it shows.
type tryData struct {
	Targets     []TryTarget
	Integration string
	Call        TryCall
	Answers     string // as they were entered: a label, a colon and a value a line
	Visitors    []madeUp
	Troubles    []Trouble
	Problem     string
	Tried       *Tried
	Messages    []messageData
	// Done is the step that was made, and Next the one that may follow.
	Done, Next TryStep
}

// messageData is a message as people read it.
type messageData struct {
	TryMessage
	Text string
}

// madeUp is a visitor who is nobody.
type madeUp struct {
	Name   string
	Fields map[string]string
}

var madeUpVisitors = []madeUp{
	{"a guest", map[string]string{"first": "Ada", "last": "Example", "company": "Example Ltd", "type": "Guest", "hostFirst": "Grace", "hostLast": "Sample", "answers": "Do you have a laptop?: no"}},
	{"a contractor", map[string]string{"first": "Carl", "last": "Sample", "company": "Sample Works", "type": "Contractor", "hostFirst": "Grace", "hostLast": "Sample", "answers": "Is your induction valid?: yes"}},
	{"one without a company", map[string]string{"first": "Nia", "last": "Example", "company": "", "type": "Guest", "hostFirst": "", "hostLast": "", "answers": ""}},
	{"a long name", map[string]string{"first": "Wolfeschlegel", "last": "Steinhausen-Bergerdorff", "company": "Ünïcode & Söhne <AG>", "type": "Guest", "hostFirst": "", "hostLast": "", "answers": ""}},
}

// maxAnswers bounds what may be entered as answers, in lines.
const maxAnswers = 20

// tryTimeout bounds a call, which may wait for a decision.
const tryTimeout = 15 * time.Second

// tryTargets are those that somebody may try.
func (d *Desk) tryTargets(u access.User) []TryTarget {
	return slices.DeleteFunc(slices.Clone(d.trier.Targets()), func(t TryTarget) bool { return !u.May(access.Operator, t.Site) })
}

func (d *Desk) tryPage(r *http.Request) tryData {
	u := access.UserOf(r.Context())
	data := tryData{Targets: d.tryTargets(u), Visitors: madeUpVisitors, Next: TryRequest}
	if u.May(access.Operator, visit.AllSites) {
		data.Troubles = d.trier.Troubles()
	}
	return data
}

func (d *Desk) showTry(w http.ResponseWriter, r *http.Request) {
	if !access.UserOf(r.Context()).Anywhere(access.Operator) {
		d.notFound(w, r)
		return
	}
	data := d.tryPage(r)
	fields := madeUpVisitors[0].Fields
	data.Call = TryCall{FirstName: fields["first"], LastName: fields["last"], Company: fields["company"], VisitorType: fields["type"], HostFirst: fields["hostFirst"], HostLast: fields["hostLast"]}
	data.Answers = fields["answers"]
	d.writeTry(w, r, http.StatusOK, data)
}

func (d *Desk) writeTry(w http.ResponseWriter, r *http.Request, status int, data tryData) {
	b := d.base(r, "Try it", "/try")
	b.Data = data
	d.show(w, status, "try", b)
}

// try makes one of Sine's calls for a visitor who is nobody.
func (d *Desk) try(w http.ResponseWriter, r *http.Request) {
	u := access.UserOf(r.Context())
	data := d.tryPage(r)
	data.Integration = r.PostFormValue("integration")
	i := slices.IndexFunc(data.Targets, func(t TryTarget) bool { return t.Integration == data.Integration })
	if i < 0 {
		d.notFound(w, r)
		return
	}
	var problem string
	if data.Call, data.Answers, problem = readTry(r); problem != "" {
		data.Problem = problem
		d.writeTry(w, r, http.StatusBadRequest, data)
		return
	}
	if !d.mayNow(w, r, visit.ActionTry) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), tryTimeout)
	defer cancel()
	if err := d.auditSoon(ctx, u, visit.ActionTry, data.Targets[i].Site, data.Call.Visit); err != nil && !d.troubled() {
		data.Problem = "Nothing was sent: that you try it must be recorded, and that is not possible. " + doors.Why(err)
		d.writeTry(w, r, http.StatusServiceUnavailable, data)
		return
	}
	tried, err := d.trier.Try(ctx, data.Integration, data.Call)
	if err != nil {
		data.Problem = "The relay cannot be called. " + doors.Why(err)
		d.writeTry(w, r, http.StatusServiceUnavailable, data)
		return
	}
	data.Tried, data.Done, data.Next = &tried, data.Call.Step, nextStep(data.Call.Step, tried.Accepted)
	for _, m := range tried.Messages {
		data.Messages = append(data.Messages, messageData{m, visit.CleanText(string(m.Body))})
	}
	d.writeTry(w, r, http.StatusOK, data)
}

// auditSoon records with a shorter patience than a call has.
func (d *Desk) auditSoon(ctx context.Context, u access.User, action visit.Action, site, subject string) error {
	ctx, cancel := context.WithTimeout(ctx, quickTimeout)
	defer cancel()
	return d.audit(ctx, u, action, site, subject)
}

// troubled reports whether somebody has made something go wrong on purpose: then the
// record may be what fails, and to see the rest is the purpose.
func (d *Desk) troubled() bool {
	return slices.ContainsFunc(d.trier.Troubles(), func(t Trouble) bool { return t.On })
}

// nextStep is the call that Sine makes after one.
func nextStep(done TryStep, accepted bool) TryStep {
	switch {
	case done == TryRequest && accepted:
		return TryCheckIn
	case done == TryCheckIn && accepted:
		return TryCheckOut
	default:
		return TryRequest
	}
}

// tryForm and isTry are what the ids of made-up visits look like: nothing else gets into a
// record.
var tryForm = regexp.MustCompile(`^try-[A-Z0-9]+$`)

func isTry(s string) bool { return len(s) >= 9 && len(s) <= 44 && tryForm.MatchString(s) }

func readTry(r *http.Request) (call TryCall, answers, problem string) {
	value := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	call = TryCall{
		Step: TryStep(value("step")), Visit: value("visit"), FirstName: value("first"), LastName: value("last"), Company: value("company"),
		VisitorType: value("type"), HostFirst: value("hostFirst"), HostLast: value("hostLast"),
	}
	answers = value("answers")
	if call.Step == TryRequest || !isTry(call.Visit) {
		call.Visit = "try-" + visit.NewRequestID()
	}
	if !slices.Contains([]TryStep{TryRequest, TryCheckIn, TryCheckOut}, call.Step) {
		return call, answers, "Choose what to do."
	}
	for line := range strings.Lines(answers) {
		if label, text, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			call.Answers = append(call.Answers, [2]string{label, text})
		} else if strings.TrimSpace(line) != "" {
			return call, answers, "Write each answer on a line of its own: the question, a colon, a space and the answer."
		}
	}
	if len(call.Answers) > maxAnswers {
		return call, answers, "There are too many answers."
	}
	return call, answers, ""
}

// setTrouble makes something go wrong on purpose, or right again.
func (d *Desk) setTrouble(w http.ResponseWriter, r *http.Request) {
	if !access.UserOf(r.Context()).May(access.Operator, visit.AllSites) {
		d.notFound(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), tryTimeout)
	defer cancel()
	name := r.PostFormValue("name")
	if !slices.ContainsFunc(d.trier.Troubles(), func(t Trouble) bool { return t.Name == name }) {
		d.notFound(w, r)
		return
	}
	if err := d.trier.SetTrouble(ctx, name, r.PostFormValue("on") == "true"); err != nil {
		d.message(w, r, http.StatusServiceUnavailable, "Not done", doors.Why(err))
		return
	}
	http.Redirect(w, r, "/try", http.StatusSeeOther)
}
