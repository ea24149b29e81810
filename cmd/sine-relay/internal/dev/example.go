package dev

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

const (
	// exampleVersion tells the example decider of dev from a newcomer's own.
	exampleVersion = "0.0.0-example"
	// exampleInterval is between two looks at who else decides. On a NATS of somebody
	// else, each look asks everybody.
	exampleInterval         = 250 * time.Millisecond
	exampleIntervalExternal = 2 * time.Second
)

// examples are the example deciders of dev. Each answers the check-in requests of a site to
// a decider while no other program does: in one queue group, both would share them.
type examples struct {
	demo     *demo
	subjects visit.Subjects
	all      []*example
	logged   string // why the last search failed
	unasked  map[string]bool
}

// example answers over a connection of its own, as a program of its own would: NATS
// discovery finds the others beside it, whatever the users of NATS may reply.
type example struct {
	site, decider string
	nc            *nats.Conn // nil while it does not answer
	seen          bool       // another program, at the last look
	stop          context.CancelFunc
	ended         chan struct{} // nil while it does not answer
	does          conduct
}

func newExamples(d *demo) *examples {
	e := &examples{demo: d, unasked: map[string]bool{}, subjects: visit.Subjects{Prefix: d.Settings.SubjectPrefix}}
	for _, i := range d.Settings.Integrations {
		for _, decider := range i.DeciderNames() {
			if !slices.ContainsFunc(e.all, func(x *example) bool { return x.site == i.Site && x.decider == decider }) {
				e.all = append(e.all, &example{site: i.Site, decider: decider})
			}
		}
	}
	return e
}

// run looks from time to time who else decides, until ctx ends. It calls looked once,
// when every example that is needed answers.
func (e *examples) run(ctx context.Context, looked func()) {
	interval := exampleInterval
	if e.demo.Embedded == nil {
		interval = exampleIntervalExternal
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	looked = sync.OnceFunc(looked)
	for {
		e.look(ctx)
		looked()
		select {
		case <-tick.C:
		case done := <-e.demo.troubles.look:
			e.look(ctx)
			close(done)
		case <-ctx.Done():
			for _, x := range e.all {
				x.end()
			}
			return
		}
	}
}

// look starts and stops examples. Where it is not known who else decides, those that
// answer go on.
func (e *examples) look(ctx context.Context) {
	answered, err := e.answered(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		e.logOnce("whether a program beside the example decider answers is not known", err)
	}
	for _, x := range e.all {
		subject := e.subjects.Ask(x.site, x.decider)
		other, said := slices.ContainsFunc(answered, func(pattern string) bool { return server.Covers(pattern, subject) }), ""
		switch {
		case other && !x.seen:
			x.seen, said = true, "steps back: another program answers"
		case err == nil && !other && x.seen:
			x.seen, said = false, "answers again: no other program does"
		}
		e.have(ctx, x, e.wanted(x))
		if said != "" { // when it is so
			fmt.Fprintf(e.demo.Stdout, "example   %s for decider %s of site %s\n", said, x.decider, x.site)
		}
	}
	e.nameUnasked(answered)
}

// What an example does.
type conduct int

const (
	silent conduct = iota
	deciding
	lying
)

// wanted is what an example should do now.
func (e *examples) wanted(x *example) conduct {
	switch {
	case x.seen || e.demo.troubles.is(troubleGone):
		return silent
	case e.demo.troubles.is(troubleLies):
		return lying
	default:
		return deciding
	}
}

// have returns when an example does that, or cannot.
func (e *examples) have(ctx context.Context, x *example, c conduct) {
	if x.ended != nil && x.does == c {
		return
	}
	x.end()
	if c != silent {
		e.begin(ctx, x, c)
	}
}

// logOnce logs what does not work, unless the last line said the same.
func (e *examples) logOnce(what string, err error) {
	if e.logged != err.Error() {
		e.logged = err.Error()
		e.demo.Log.Warn(what, "reason", e.logged)
	}
}

// begin returns when an example answers, or cannot.
func (e *examples) begin(ctx context.Context, x *example, does conduct) {
	nc, err := e.demo.connectAs(embedded.UserDecider)
	if err != nil {
		e.logOnce("the example decider has no connection", err)
		return
	}
	x.nc, x.does = nc, does
	ctx, x.stop = context.WithCancel(ctx)
	ready, ended := make(chan struct{}), make(chan struct{})
	x.ended = ended
	cfg := subscriber.DeciderConfig{
		Sites: []string{x.site}, Decider: x.decider, Version: exampleVersion, Description: "The example of sine-relay dev",
		Subjects: e.subjects, OnReady: func() { close(ready) },
	}
	go func() {
		defer close(ended)
		if does == lying {
			e.demo.logFailed(lie(ctx, nc, e.subjects.Ask(x.site, x.decider), cfg.OnReady))
			return
		}
		e.demo.logFailed(subscriber.Decide(ctx, nc, cfg, e.decide))
	}()
	select {
	case <-ready:
	case <-ended:
	}
}

// end returns when an example has answered the last of what it was asked.
func (x *example) end() {
	if x.ended != nil {
		x.stop()
		<-x.ended
		x.nc.Close()
		x.nc, x.ended = nil, nil
	}
}

// decide is slow while it is to be.
func (e *examples) decide(ctx context.Context, q visit.CheckInRequest) (visit.Decision, error) {
	if e.demo.troubles.is(troubleSlow) {
		<-ctx.Done() // at the deadline
		return visit.Decision{}, ctx.Err()
	}
	return exampleDecision(ctx, q)
}

// queueGroup is that of the deciders of package subscriber.
const queueGroup = "q"

// lie replies with something that is not a decision until ctx ends.
func lie(ctx context.Context, nc *nats.Conn, subject string, onReady func()) error {
	_, err := nc.QueueSubscribe(subject, queueGroup, func(m *nats.Msg) {
		m.Respond([]byte(`{"allowed":"yes"}`)) // who does not get it gets no decision either
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		return err
	}
	onReady()
	<-ctx.Done()
	return nil
}

// exampleDecision lets everybody in but a company that is called Denied, and those of
// whom no company is known: it might be that one.
func exampleDecision(_ context.Context, q visit.CheckInRequest) (visit.Decision, error) {
	if visit.IsBlank(q.Company) {
		return visit.Decision{
			Verdict:     visit.Reject,
			VisitorText: "Your company is not known here. Please see reception.",
			AdminNote:   "Rejected by the example decider: no company was found in what Sine sent.",
		}, nil
	}
	if strings.EqualFold(q.Company, "Denied") {
		return visit.Decision{
			Verdict:     visit.Reject,
			VisitorText: "Your company is not expected today. Please see reception.",
			AdminNote:   "Rejected by the example decider: the company is called Denied.",
		}, nil
	}
	return visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome, " + cmp.Or(q.Person.FirstName, q.Person.LastName) + "!", AdminNote: "Accepted by the example decider."}, nil
}

// nameUnasked reports once that a program waits on a subject on which nobody asks:
// it has another site than the relay, or its decider another name.
func (e *examples) nameUnasked(answered []string) {
	root := strings.TrimSuffix(e.subjects.All(visit.RootAsk), ">")
	for _, pattern := range answered {
		asked := slices.ContainsFunc(e.all, func(x *example) bool { return server.Covers(pattern, e.subjects.Ask(x.site, x.decider)) })
		if asked || e.unasked[pattern] || !strings.HasPrefix(pattern, root) {
			continue
		}
		e.unasked[pattern] = true
		fmt.Fprintf(e.demo.Stdout, "example   another program waits on %s, and no integration asks there; this relay asks on %s\n",
			terminal.Printable(pattern), strings.Join(e.asked(), ", "))
	}
}

// asked are the subjects of all check-in requests.
func (e *examples) asked() (all []string) {
	for _, x := range e.all {
		all = append(all, e.subjects.Ask(x.site, x.decider))
	}
	return all
}

// own are the ids of the examples' connections.
func (e *examples) own() (ids []uint64, err error) {
	for _, x := range e.all {
		if x.nc == nil {
			continue
		}
		id, err := x.nc.GetClientID()
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// answered lists the subjects on which other programs answer.
func (e *examples) answered(ctx context.Context) (subjects []string, err error) {
	if e.demo.Embedded != nil {
		own, err := e.own()
		if err != nil {
			return nil, err
		}
		return e.demo.Embedded.Answered(own...)
	}
	found, _, err := e.demo.Broker.Deciders(ctx)
	for _, d := range found {
		if d.Version != exampleVersion {
			subjects = append(subjects, d.Subjects...)
		}
	}
	return subjects, err
}
