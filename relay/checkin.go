package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/relay/condition"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// checkIn answers a check-in request: a visitor waits until it returns.
func (r *Relay) checkIn(x *exchange, d *fields.Body) response {
	key := visit.NewVisitKey(d.VisitID)
	r.noteExternalID(x, d)
	order := r.activeOrder(x.in)
	if decision, ordered := order.Decide(); ordered {
		return r.respond(x, key, order, decision, nil)
	}
	missing := x.in.lacks(d)
	if len(missing) > 0 {
		r.noteIncomplete(x, missing)
	}
	if len(missing) > 0 && !x.in.ownExpectations {
		return r.respond(x, key, order, x.in.policy.Fallback(policy.Incomplete, order), nil)
	}
	reserved, err := r.limiter.acquireCheckInRequest(x.in.Name)
	if err != nil {
		x.err = err
		return r.respond(x, key, order, x.in.policy.Fallback(policy.Overloaded, order), nil)
	}
	defer reserved.Release()

	// Not ended by a disconnect: a client that only closed its sending side looks
	// the same, and still waits for the truth.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(x.req.Context()), x.start.Add(x.in.Budget))
	p := r.pollDeciders(ctx, cancel, x, d)
	if p.err != nil {
		x.err = p.err
	}
	order = r.activeOrder(x.in) // an order that was given meanwhile holds as well
	return r.respond(x, key, order, p.decide(order), p)
}

// noteIncomplete notes that a body lacks what is expected of it.
func (r *Relay) noteIncomplete(x *exchange, missing []string) {
	if x.missing == nil {
		r.metrics.incomplete.WithLabelValues(x.in.Name).Inc()
	}
	for _, field := range missing {
		if !slices.Contains(x.missing, field) {
			x.missing = append(x.missing, field)
		}
	}
	if x.err == nil || errors.Is(x.err, errIncomplete) {
		x.err = fmt.Errorf("%w: %s", errIncomplete, strings.Join(x.missing, ", "))
	}
}

// errIncomplete says why nobody was asked about a visitor, or what is odd about an
// event.
var errIncomplete = errors.New("the body lacks what is expected")

// noteExternalID notes that a body has another external id than the configuration: the
// webhook of another site may have been given the URL.
func (r *Relay) noteExternalID(x *exchange, d *fields.Body) {
	if x.in.ExternalID == "" || d.ExternalID == "" || x.in.ExternalID == d.ExternalID {
		return
	}
	r.metrics.externalIDMismatches.WithLabelValues(x.in.Name).Inc()
	if x.err == nil {
		x.err = errExternalID
	}
}

var errExternalID = errors.New("the body has another external id than the configuration; the configuration's was used")

// activeOrder is what the operator has ordered for an integration's site.
func (r *Relay) activeOrder(in *Integration) policy.ActiveOrder {
	all, known := r.orders.OrdersAt(in.Site)
	if !known {
		order := policy.OldOrders(all).At(in.Site, time.Now())
		order.Strict = r.strictOrders
		return order
	}
	return policy.NewOrders(all).At(in.Site, time.Now())
}

// fallback answers somebody who may be a visitor, and about whom nobody could be
// asked.
func (r *Relay) fallback(x *exchange, s policy.Situation) response {
	order := r.activeOrder(x.in)
	return r.respond(x, visit.NewVisitKey(""), order, x.in.policy.Fallback(s, order), nil)
}

// respond answers a check-in request and has the decision recorded.
func (r *Relay) respond(x *exchange, key visit.VisitKey, order policy.ActiveOrder, decision policy.Decision, p *poll) response {
	r.recordDecision(x, key, order, decision, p)
	return x.in.checkInResponse(decision, x.id)
}

// poll is what the deciders of an integration have to say about one visitor.
type poll struct {
	in       *Integration
	ballot   *policy.Ballot
	versions map[string]string // what deciders call their version
	votes    chan vote
	pending  int                // votes that are still to come
	cancel   context.CancelFunc // called when none is
	err      error              // why the first decider without a decision has none
	// incomplete is set when the body lacks what the integration expects and no decider
	// has a say about the visitor all the same.
	incomplete bool
}

// vote is one decider's, and why there is no decision in it.
type vote struct {
	policy.Vote
	err error
}

// pollDeciders asks every decider whose condition holds, all at once, and returns
// when the verdict is certain or ctx has ended. The votes that are still to come are
// for the record: they are drained.
//
// One whose expectations the body does not meet is not asked: it votes with its fallback
// for [policy.Incomplete].
func (r *Relay) pollDeciders(ctx context.Context, cancel context.CancelFunc, x *exchange, d *fields.Body) *poll {
	asked, lacking := r.applicable(x, d)
	voters := asked
	if len(lacking) > 0 {
		voters = slices.Concat(asked, lacking)
	}
	p := &poll{in: x.in, ballot: x.in.policy.Ballot(voters), versions: map[string]string{}, votes: make(chan vote, len(asked)), cancel: cancel}
	// Were the verdict left to nobody, the fallback for that would let the visitor in.
	p.incomplete = p.ballot.Settled() && len(x.in.lacks(d)) > 0
	for _, decider := range lacking {
		p.count(vote{Vote: policy.Vote{Decider: decider, Situation: policy.Incomplete}})
	}
	origin, _ := x.origin(d)
	request := visit.CheckInRequest{Origin: origin, Pass: d.Pass, Missing: x.missing, Source: d.Source}
	m, err := request.Message(r.subjects, "")
	if err != nil {
		p.err = err
		return p
	}
	if len(asked) == 1 && !p.ballot.Settled() {
		p.count(r.ask(ctx, x.in, asked[0], m))
		return p
	}
	for _, decider := range asked {
		p.pending++
		go func() { p.votes <- r.ask(ctx, x.in, decider, m) }()
	}
	for p.pending > 0 && !p.ballot.Settled() {
		p.collect()
	}
	return p
}

// collect waits for a vote and counts it.
func (p *poll) collect() {
	v := <-p.votes
	p.pending--
	p.count(v)
}

func (p *poll) count(v vote) {
	p.ballot.Add(v.Vote)
	p.versions[v.Decider] = v.Decision.Version
	if v.err != nil && p.err == nil {
		p.err = v.err
	}
}

// drain waits for the votes that nobody had to wait for. They come before the
// deadline of the poll.
func (p *poll) drain() {
	defer p.cancel()
	for p.pending > 0 {
		p.collect()
	}
}

// decide is what the votes, or their lack, decide.
func (p *poll) decide(order policy.ActiveOrder) policy.Decision {
	if p.incomplete {
		return p.in.policy.Fallback(policy.Incomplete, order)
	}
	return p.ballot.Decide(order)
}

// applicable names the deciders that have a say about the visitor: those that are asked,
// and those for which the body lacks something. One whose condition cannot be evaluated
// has a say.
func (r *Relay) applicable(x *exchange, d *fields.Body) (asked, lacking []string) {
	missing := x.in.ownExpectations && len(x.in.lacks(d)) > 0
	for _, decider := range x.in.Deciders {
		holds := r.conditionHolds(x, d, decider)
		lacks := missing
		if decider.Expects != nil {
			own := d.Lacks(decider.Expects)
			if lacks = len(own) > 0; lacks && holds && !decider.Shadow {
				r.noteIncomplete(x, own)
			}
		}
		switch {
		case holds && lacks:
			lacking = append(lacking, decider.Name)
		case holds:
			asked = append(asked, decider.Name)
		}
	}
	return asked, lacking
}

// conditionHolds reports whether a decider has no condition, or one that holds or cannot
// be evaluated.
func (r *Relay) conditionHolds(x *exchange, d *fields.Body, decider Decider) bool {
	if decider.Condition == nil {
		return true
	}
	holds, err := decider.Condition.Holds(condition.Visitor{
		Pass: d.SurePass(), UnreadAnswers: d.UnreadAnswers,
		Integration: x.in.Name, Site: x.in.Site, Now: x.received().In(x.in.Zone),
	})
	if err != nil {
		r.metrics.conditionErrors.WithLabelValues(x.in.Name, decider.Name).Inc()
	}
	return holds
}

func (r *Relay) ask(ctx context.Context, in *Integration, decider string, request visit.Message) vote {
	request.Subject = r.subjects.Ask(in.Site, decider)
	start := time.Now()
	decision, err := r.asker.Ask(ctx, request)
	v := vote{err: err, Vote: policy.Vote{Decider: decider, Situation: policy.SituationOf(err), Decision: decision, Took: time.Since(start)}}
	r.metrics.deciderRequests.WithLabelValues(in.Name, decider, string(v.Situation)).Inc()
	r.metrics.deciderRequestSeconds.WithLabelValues(string(v.Situation)).Observe(v.Took.Seconds())
	return v
}

// deciderRequestResults are how a request to a decider can end, for metrics.
var deciderRequestResults = []string{
	string(policy.Decided), string(policy.NoDecider), string(policy.Timeout), string(policy.Disconnected),
	string(policy.Denied), string(policy.BadReply),
}

// DryRun is how a check-in request would have been answered.
type DryRun struct {
	// Status and Body are the response that Sine would have got.
	Status int
	Body   []byte
	// Took is until the verdict was certain.
	Took     time.Duration
	Decision policy.Decision
	// Votes are the deciders' parts.
	Votes []visit.Vote
}

// DryRun asks an integration's deciders as a visitor would, with a body as Sine sends
// it. The check-in request is marked as synthetic, and nothing is stored or recorded.
func (r *Relay) DryRun(ctx context.Context, integration string, raw []byte) (DryRun, error) {
	in := r.snapshot.Load().integrations[integration]
	if in == nil {
		return DryRun{}, fmt.Errorf("integration %s is not configured", integration)
	}
	d, reason := in.Fields.Read(newBody(raw, nil, nil, r.limits.Body).text, r.limits.JSONDepth)
	if reason == "" && !d.IsEvent {
		reason = visit.ReasonUnknownEvent
	}
	if reason != "" {
		return DryRun{}, fmt.Errorf("the body cannot be read (%s): the fallback unreadable would answer, and the body would be kept in the quarantine", reason)
	}
	if named := in.kindOf(d.Event); named != "" && named != visit.KindCheckInRequest {
		return DryRun{}, errors.New("the body is an event and not a check-in request")
	}
	x := &exchange{in: in, id: visit.NewRequestID(), start: r.now(), kind: visit.KindCheckInRequest, synthetic: true}
	x.at = r.clock()
	run := DryRun{}
	order := r.activeOrder(in)
	decision, ordered := order.Decide()
	x.missing = in.lacks(d)
	switch {
	case ordered:
	case len(x.missing) > 0 && !in.ownExpectations:
		decision = in.policy.Fallback(policy.Incomplete, order)
	default:
		ctx, cancel := context.WithDeadline(ctx, x.start.Add(in.Budget))
		p := r.pollDeciders(ctx, cancel, x, d)
		decision = p.decide(r.activeOrder(in))
		run.Took = time.Since(x.start)
		p.drain()
		run.Votes = r.votes(p)
	}
	res := in.checkInResponse(decision, x.id)
	run.Status, run.Body, run.Decision = res.status, res.body, decision
	return run, nil
}
