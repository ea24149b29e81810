package trial

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/desk"
)

// body is what Sine sends, with all fields at places that the relay knows without
// configuration.
type body struct {
	Event string `json:"event"`
	Date  string `json:"date"`
	Data  pass   `json:"data"`
}

type pass struct {
	VisitID   string     `json:"visitId,omitempty"`
	FirstName string     `json:"firstName,omitempty"`
	LastName  string     `json:"lastName,omitempty"`
	Company   string     `json:"company,omitempty"`
	PassType  string     `json:"passType,omitempty"`
	Host      *host      `json:"host,omitempty"`
	Form      *responses `json:"formResponses,omitempty"`
	// Status says why the pass ended: without it, the visitor may still be inside.
	Status string `json:"status,omitempty"`
}

type host struct {
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
}

type responses struct {
	Responses []response `json:"responses"`
}

type response struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

func bodyOf(call desk.TryCall, at time.Time) []byte {
	b := body{
		Event: events[call.Step], Date: at.UTC().Format("2006-01-02T15:04:05.000Z"),
		Data: pass{VisitID: call.Visit, FirstName: call.FirstName, LastName: call.LastName, Company: call.Company, PassType: call.VisitorType},
	}
	if call.HostFirst != "" || call.HostLast != "" {
		b.Data.Host = &host{call.HostFirst, call.HostLast}
	}
	if call.Step == desk.TryCheckOut {
		b.Data.Status = "Checked Out"
	}
	if len(call.Answers) > 0 {
		b.Data.Form = &responses{}
	}
	for _, answer := range call.Answers {
		b.Data.Form.Responses = append(b.Data.Form.Responses, response{answer[0], answer[1]})
	}
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // texts always encode
	}
	return text
}

// curl is the call as a command for a shell. The key stays in the shell's variable KEY.
func (t *Trial) curl(path string, body []byte) string {
	return `curl -i -H "` + authHeader + `: $KEY" -H 'content-type: application/json' -d ` + terminal.Quoted(string(body)) + " " +
		terminal.Quoted(strings.TrimSuffix(t.cfg.URL, "/")+path)
}
