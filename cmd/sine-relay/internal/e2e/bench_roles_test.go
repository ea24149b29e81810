package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/visit"
)

// Roles of this binary in a benchmark.
const (
	roleRelay = "relay" // the built binary
	roleOld   = "old"   // another one
	roleNATS  = "nats"
	// rolePeople look at a desk.
	rolePeople = "people"
	// roleFloorRaw is a bare handler that sends the body as it is, roleFloorMessage
	// one that sends our finished message with a fresh id, and roleFloorBoth one that
	// sends the body of a check-in request to the decider, and then to the stream.
	roleFloorRaw     = "floor-raw"
	roleFloorMessage = "floor-message"
	roleFloorBoth    = "floor-both"
)

var floors = []string{roleFloorRaw, roleFloorMessage, roleFloorBoth}

// The bodies are of 1.5 KB; benchMark is replaced by a number of its width.
var (
	benchMark  = []byte("00000000")
	benchEvent = benchBody("signin_after")
	benchAsk   = benchBody("signin_before")
)

func benchBody(event string) []byte {
	var answers []string
	for i := range 8 {
		answers = append(answers, fmt.Sprintf(`{"label":"Question number %d on the form?","value":"An answer to question %d that goes on for a while, as answers on such forms do"}`, i, i))
	}
	return fmt.Appendf(nil, `{"event":%q,"date":"2026-11-18T21:42:31.000Z","data":{"firstName":"Marguerite %s","lastName":"Oyelaran","company":"Bexley Rigging Pty Ltd",`+
		`"photoURL":"https://images.example.com/visitors/7f1c.jpg","host":{"firstName":"Dominic","lastName":"Faleolo","hostGroupName":"Maintenance Planning"},`+
		`"formResponses":{"responses":[%s]}}}`, event, benchMark, strings.Join(answers, ","))
}

func playRole(role string) int {
	var err error
	switch role {
	case roleNATS:
		err = playNATS()
	case rolePeople:
		if err = playPeople(); err == nil {
			return exitOK
		}
	default:
		err = playFloor(role)
	}
	fmt.Fprintln(os.Stderr, role, err)
	return exitFailed
}

func playNATS() error {
	o := &natsserver.Options{ServerName: "n" + os.Getenv("BENCH_NODE"), JetStream: true, StoreDir: os.Getenv("BENCH_STORE"), NoLog: true, SyncAlways: os.Getenv("BENCH_SYNCED") != ""}
	if err := address("BENCH_LISTEN", &o.Host, &o.Port); err != nil {
		return err
	}
	if routes := os.Getenv("BENCH_ROUTES"); routes != "" {
		o.Routes, o.Cluster.Name = natsserver.RoutesFromStr(routes), "bench"
		if err := address("BENCH_ROUTE", &o.Cluster.Host, &o.Cluster.Port); err != nil {
			return err
		}
	}
	s, err := natsserver.NewServer(o)
	if err != nil {
		return err
	}
	s.Start()
	s.WaitForShutdown()
	return nil
}

// address reads a variable with host and port.
func address(variable string, host *string, port *int) error {
	h, p, err := net.SplitHostPort(os.Getenv(variable))
	if err != nil {
		return err
	}
	*host = h
	*port, err = strconv.Atoi(p)
	return err
}

// floor is a bare handler without anything that makes a relay: no key, no
// parsing, no limits, no metrics, no log.
type floor struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	event    func(body []byte) *nats.Msg
	question func(body []byte) *nats.Msg
	// both is set where a check-in request is published, too.
	both bool
}

func playFloor(role string) error {
	server.SetGCPercent(os.Environ(), server.GCPercent) // as the relay does
	nc, err := nats.Connect(os.Getenv("BENCH_NATS"))
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1<<16))
	if err != nil {
		return err
	}
	var s visit.Subjects
	f := &floor{
		nc: nc, js: js, both: role == roleFloorBoth,
		event: func(body []byte) *nats.Msg {
			return &nats.Msg{Subject: s.Event("default", visit.KindCheckedIn), Data: body}
		},
		question: func(body []byte) *nats.Msg { return &nats.Msg{Subject: s.Ask("default", "default"), Data: body} },
	}
	if role == roleFloorMessage {
		if f.event, f.question, err = finished(s); err != nil {
			return err
		}
	}
	return http.ListenAndServe(os.Getenv("BENCH_LISTEN"), f)
}

// finished returns makers of our message, built once, with a fresh id each.
func finished(s visit.Subjects) (event, question func([]byte) *nats.Msg, err error) {
	origin := visit.Origin{
		RequestID: visit.NewRequestID(), Site: "default", Integration: "default", Visit: visit.NewVisitKey(""),
		Time: time.Now().UTC(), Received: time.Now().UTC(), TimeBasis: visit.TimeFromSine,
	}
	pass := visit.Pass{
		Person: visit.Person{FirstName: "Marguerite 00000000", LastName: "Oyelaran", PhotoURL: "https://images.example.com/visitors/7f1c.jpg"}, Company: "Bexley Rigging Pty Ltd",
		Host: &visit.Host{FirstName: "Dominic", LastName: "Faleolo", Group: "Maintenance Planning"},
	}
	for i := range 8 {
		pass.FormAnswers = append(pass.FormAnswers, visit.FormAnswer{Label: fmt.Sprintf("Question number %d on the form?", i), Value: fmt.Sprintf("An answer to question %d that goes on for a while, as answers on such forms do", i)})
	}
	m, err := (&visit.Event{ID: "x", Kind: visit.KindCheckedIn, Origin: origin, Pass: pass, Source: benchEvent}).Message(s)
	if err != nil {
		return nil, nil, err
	}
	request, err := (&visit.CheckInRequest{Origin: origin, Pass: pass, Source: benchAsk}).Message(s, "default")
	if err != nil {
		return nil, nil, err
	}
	event = func([]byte) *nats.Msg {
		var id [16]byte
		rand.Read(id[:])
		header := nats.Header(maps.Clone(m.Header))
		header[visit.HeaderMsgID] = []string{hex.EncodeToString(id[:])}
		header[visit.HeaderID] = header[visit.HeaderMsgID]
		return &nats.Msg{Subject: m.Subject, Header: header, Data: m.Data}
	}
	question = func([]byte) *nats.Msg {
		return &nats.Msg{Subject: request.Subject, Header: nats.Header(request.Header), Data: request.Data}
	}
	return event, question, nil
}

func (f *floor) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(req.Context(), 2*time.Second)
	defer cancel()
	asks := bytes.Contains(body[:32], []byte("signin_before"))
	if asks {
		_, err = f.nc.RequestMsgWithContext(ctx, f.question(body))
	}
	if err == nil && (!asks || f.both) {
		err = f.publish(ctx, body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"code":"SUCCESS"}`)
}

func (f *floor) publish(ctx context.Context, body []byte) error {
	future, err := f.js.PublishMsgAsync(f.event(body))
	if err != nil {
		return err
	}
	select {
	case <-future.Ok():
		return nil
	case err := <-future.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
