package relay

import (
	"encoding/json"
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
func (i *Integration) doorAnswer(o outcome, a policy.Answer, requestID string) answer {
	template, status := i.Accept, consequences[outcomeAccepted].status
	if a.Verdict == visit.Reject {
		template = i.Reject
		if i.Say == SayStatus {
			status = http.StatusForbidden
		}
	}
	return answer{outcome: o, status: status, body: template.fill(a.Decision, visit.Reference(requestID))}
}
