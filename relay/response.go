package relay

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// answer is what a caller is told.
type answer struct {
	outcome outcome
	status  int
	header  map[string]string
	body    []byte
}

// errorAnswer is the fixed answer of an outcome. No error's text ever reaches a
// caller.
func errorAnswer(o outcome) answer { return consequences[o].answer(o) }

func (follows consequence) answer(o outcome) answer {
	body, err := json.Marshal(struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{follows.code, follows.text})
	if err != nil {
		panic(err) // two strings always encode
	}
	a := answer{outcome: o, status: follows.status, body: body}
	switch o {
	case outcomeMethodNotAllowed:
		a.header = map[string]string{"Allow": http.MethodPost}
	case outcomeEncoding:
		a.header = map[string]string{"Accept-Encoding": acceptEncoding}
	case outcomeBlocked, outcomeRefused:
		a.header = map[string]string{"Retry-After": "1"}
	}
	return a
}

// eventAnswer says that an event is safe.
func eventAnswer(o outcome, eventID string) answer {
	body, err := json.Marshal(struct {
		Code    string `json:"code"`
		EventID string `json:"eventId"`
	}{"SUCCESS", eventID})
	if err != nil {
		panic(err) // two strings always encode
	}
	return answer{outcome: o, status: consequences[o].status, body: body}
}

// doorAnswer is the integration's template, filled.
func (i *Integration) doorAnswer(o outcome, a policy.Decision, requestID string) answer {
	template, status := i.Accept, consequences[outcomeAccepted].status
	if a.Verdict == visit.Reject {
		template = i.Reject
		if i.Say == SayStatus {
			status = http.StatusForbidden
		}
	}
	return answer{outcome: o, status: status, body: template.fill(a.Decision, visit.Reference(requestID))}
}

// outcome is what became of a call. Its values are metric labels.
type outcome string

const (
	outcomeAccepted outcome = "accepted"
	outcomeRejected outcome = "rejected"
	// The situations of the door without a decision are outcomes of the same
	// name; see fallbackOutcome.

	outcomeStored      outcome = "stored"
	outcomeDuplicate   outcome = "duplicate"
	outcomeSpooled     outcome = "spooled"
	outcomeQuarantined outcome = "quarantined"
	outcomeRefused     outcome = "refused"
	outcomeTooLarge    outcome = "too_large"
	outcomeEncoding    outcome = "unknown_encoding"

	outcomeUnauthorized     outcome = "unauthorized"
	outcomeBlocked          outcome = "blocked"
	outcomePlainHTTP        outcome = "plain_http"
	outcomeNotFound         outcome = "not_found"
	outcomeMethodNotAllowed outcome = "method_not_allowed"
	outcomeHungUp           outcome = "client_disconnected"
	outcomePanicked         outcome = "panicked"
)

// consequence is what follows from an outcome: the one table from outcome to
// answer and log level. Where text is empty, the body is made elsewhere.
type consequence struct {
	status int
	level  slog.Level
	code   string
	text   string
}

var consequences = map[outcome]consequence{
	outcomeAccepted: {status: http.StatusOK, level: slog.LevelInfo},
	outcomeRejected: {status: http.StatusOK, level: slog.LevelInfo},

	fallbackOutcome(policy.NoDecider):    {status: http.StatusOK, level: slog.LevelWarn},
	fallbackOutcome(policy.Timeout):      {status: http.StatusOK, level: slog.LevelWarn},
	fallbackOutcome(policy.Disconnected): {status: http.StatusOK, level: slog.LevelWarn},
	fallbackOutcome(policy.Denied):       {status: http.StatusOK, level: slog.LevelError},
	fallbackOutcome(policy.BadReply):     {status: http.StatusOK, level: slog.LevelWarn},
	fallbackOutcome(policy.Overloaded):   {status: http.StatusOK, level: slog.LevelWarn},
	fallbackOutcome(policy.Incomplete):   {status: http.StatusOK, level: slog.LevelWarn},

	fallbackOutcome(policy.Unasked):    {status: http.StatusOK, level: slog.LevelInfo},
	fallbackOutcome(policy.LockedDown): {status: http.StatusOK, level: slog.LevelInfo},
	fallbackOutcome(policy.Overridden): {status: http.StatusOK, level: slog.LevelInfo},

	fallbackOutcome(policy.OrdersUnknown): {status: http.StatusOK, level: slog.LevelWarn},

	outcomeStored:      {status: http.StatusOK, level: slog.LevelInfo},
	outcomeDuplicate:   {status: http.StatusOK, level: slog.LevelInfo},
	outcomeSpooled:     {status: http.StatusOK, level: slog.LevelWarn},
	outcomeQuarantined: {http.StatusBadRequest, slog.LevelWarn, "UNREADABLE", "The body is not an event that can be read; it was kept for inspection."},
	outcomeRefused:     {http.StatusServiceUnavailable, slog.LevelError, "UNAVAILABLE", "The event could not be stored. Please send it again."},
	outcomeTooLarge:    {http.StatusRequestEntityTooLarge, slog.LevelError, "TOO_LARGE", "The body is larger than is accepted."},
	outcomeEncoding:    {http.StatusUnsupportedMediaType, slog.LevelError, "UNKNOWN_ENCODING", "The body has a content encoding that is not accepted; gzip and deflate are."},

	outcomeUnauthorized:     {http.StatusUnauthorized, slog.LevelWarn, "UNAUTHORIZED", "The API key is missing or wrong."},
	outcomeBlocked:          {http.StatusTooManyRequests, slog.LevelDebug, "TOO_MANY_FAILURES", "Too many calls with a missing or wrong API key."},
	outcomePlainHTTP:        {http.StatusForbidden, slog.LevelWarn, "PLAIN_HTTP", "Calls are answered by https only."},
	outcomeNotFound:         {http.StatusNotFound, slog.LevelDebug, "NOT_FOUND", "There is nothing here."},
	outcomeMethodNotAllowed: {http.StatusMethodNotAllowed, slog.LevelDebug, "METHOD_NOT_ALLOWED", "Only POST is answered here."},
	outcomePanicked:         {http.StatusInternalServerError, slog.LevelError, "INTERNAL", "Something went wrong."},
	outcomeHungUp:           {level: slog.LevelWarn},
}

// incomplete is what follows when a body did not arrive: what came of it is kept,
// and the rest is not.
var incomplete = consequence{http.StatusRequestTimeout, slog.LevelWarn, "INCOMPLETE", "The body did not arrive completely. Please send it again."}

func fallbackOutcome(s policy.Situation) outcome { return outcome(s) }

// kindResults lists the results that each kind of webhook can have, so that
// every counter exists from the start.
var kindResults = map[string][]outcome{
	string(visit.KindCheckInRequest): {
		outcomeAccepted, outcomeRejected, fallbackOutcome(policy.NoDecider), fallbackOutcome(policy.Timeout), fallbackOutcome(policy.Disconnected),
		fallbackOutcome(policy.Denied), fallbackOutcome(policy.BadReply), fallbackOutcome(policy.Overloaded),
		fallbackOutcome(policy.Incomplete), fallbackOutcome(policy.Unasked), fallbackOutcome(policy.LockedDown), fallbackOutcome(policy.Overridden),
		fallbackOutcome(policy.OrdersUnknown), outcomeQuarantined, outcomeRefused,
		outcomeTooLarge, outcomeEncoding, outcomeHungUp, outcomePanicked,
	},
	string(visit.KindCheckedIn):  storedResults,
	string(visit.KindCheckedOut): storedResults,
	unknown:                      {outcomeQuarantined, outcomeRefused, outcomeTooLarge, outcomeEncoding, outcomeHungUp, outcomePanicked},
}

var storedResults = []outcome{outcomeStored, outcomeDuplicate, outcomeSpooled, outcomeQuarantined, outcomeRefused, outcomeTooLarge, outcomeEncoding, outcomeHungUp, outcomePanicked}

// askResults are how a question to a decider can end, for metrics.
var askResults = []string{
	string(policy.Decided), string(policy.NoDecider), string(policy.Timeout), string(policy.Disconnected),
	string(policy.Denied), string(policy.BadReply),
}
