// Package trial checks made-up visitors in and out at a relay, by the webhooks that Sine
// would send. It satisfies desk.Trier.
//
// It keeps nothing of what it sends, and its errors hold nothing of it.
package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/desk"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// largestResponse is beyond any response of a relay.
	largestResponse = 1 << 20
	// timeout is longer than any budget of a relay.
	timeout = 15 * time.Second
	// authHeader is where Sine sends the API key.
	authHeader = "x-sine-auth"
)

// Config is what a [Trial] needs.
type Config struct {
	// URL is that of a relay, without a path. Of its admin listener, everything that
	// comes of a try is marked as synthetic.
	URL string
	// Targets are the integrations that may be tried.
	Targets func() []desk.TryTarget
	// Key returns an API key of one of them, for each call.
	Key func(integration string) (string, error)
	// Between returns what went over the wire between a call and its response, with
	// the time since begin; nil where that is not known.
	Between func(requestID string, begin time.Time) []desk.TryMessage
	// Client is http.DefaultClient unless set.
	Client *http.Client
}

// Trial sends webhooks.
type Trial struct{ cfg Config }

// New makes one.
func New(cfg Config) *Trial {
	if cfg.Client == nil {
		cfg.Client = http.DefaultClient
	}
	return &Trial{cfg}
}

// Targets, Try, Troubles and SetTrouble make it a desk.Trier. It has no troubles.
func (t *Trial) Targets() []desk.TryTarget { return t.cfg.Targets() }

func (t *Trial) Troubles() []desk.Trouble { return nil }

func (t *Trial) SetTrouble(context.Context, string, bool) error {
	return errors.New("nothing can be made to go wrong here")
}

// events are the names that Sine gives the calls.
var events = map[desk.TryStep]string{desk.TryRequest: "signin_before", desk.TryCheckIn: "signin_after", desk.TryCheckOut: "signout_after"}

// errNotATarget is for an integration that is not marked for tests.
var errNotATarget = errors.New("the integration is not one that may be tried")

func (t *Trial) Try(ctx context.Context, integration string, call desk.TryCall) (desk.Tried, error) {
	if !slices.ContainsFunc(t.cfg.Targets(), func(target desk.TryTarget) bool { return target.Integration == integration }) {
		return desk.Tried{}, fmt.Errorf("%s: %w", integration, errNotATarget)
	}
	if events[call.Step] == "" {
		return desk.Tried{}, fmt.Errorf("there is no call %q", call.Step)
	}
	key, err := t.cfg.Key(integration)
	if err != nil {
		return desk.Tried{}, fmt.Errorf("API key of %s: %w", integration, err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	begin := time.Now()
	path, body := relay.Path(integration, visit.Kind("")), bodyOf(call, begin)
	response, text, err := t.post(ctx, path, key, body)
	if err != nil {
		return desk.Tried{}, err
	}
	tried := read(call.Step, response, text)
	tried.Curl = t.curl(path, body)
	tried.Messages = append(tried.Messages, desk.TryMessage{
		From: "sine", To: "relay", What: "POST " + path, Header: [][2]string{{"Content-Type", "application/json"}}, Body: body,
	})
	if t.cfg.Between != nil {
		tried.Messages = append(tried.Messages, t.cfg.Between(tried.RequestID, begin)...)
	}
	tried.Messages = append(tried.Messages, desk.TryMessage{
		From: "relay", To: "sine", What: response.Status, After: time.Since(begin),
		Header: [][2]string{{"Content-Type", response.Header.Get("Content-Type")}, {visit.HeaderRequestID, tried.RequestID}}, Body: text,
	})
	return tried, nil
}

// post sends a webhook as Sine does, and never follows a redirect, since Sine does not.
func (t *Trial) post(ctx context.Context, path, key string, body []byte) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(t.cfg.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("call the relay: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(authHeader, key)
	req.Header.Set(visit.HeaderSynthetic, "true") // which the public listener does not heed
	client := *t.cfg.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("call the relay: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, largestResponse))
	if err != nil {
		return nil, nil, fmt.Errorf("read the relay's response: %w", err)
	}
	return response, text, nil
}

// read says what the iPad would show: it goes on after a 200 alone, and shows the text
// of a rejection.
func read(step desk.TryStep, response *http.Response, text []byte) desk.Tried {
	tried := desk.Tried{RequestID: response.Header.Get(visit.HeaderRequestID), Accepted: response.StatusCode == http.StatusOK}
	tried.Reference = visit.Reference(tried.RequestID)
	var fields map[string]any
	if json.Unmarshal(text, &fields) != nil {
		return tried
	}
	word := func(name string) string {
		value, _ := fields[name].(string)
		return value
	}
	if code := word("code"); code != "" && !strings.EqualFold(code, "SUCCESS") {
		tried.Accepted = false
	}
	tried.Text = word("visitorNotes")
	if !tried.Accepted && word("message") != "" {
		tried.Text = word("message")
	}
	if step == desk.TryRequest {
		tried.Notes = notes(fields)
	}
	return tried
}

// notes are what the pass has besides, as "name: value", in the order of their names.
func notes(fields map[string]any) (all []string) {
	for name, value := range fields {
		text, isText := value.(string)
		if name != "code" && name != "message" && name != "visitorNotes" && isText && text != "" {
			all = append(all, name+": "+text)
		}
	}
	slices.Sort(all)
	return all
}
