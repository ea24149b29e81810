package subscribertest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
	"github.com/sine-relay/sine-relay/visit/subscriber/subscribertest"
)

// t stands for the argument of a test here.
var t = new(exampleT)

type exampleT struct{ testing.T }

func (*exampleT) Context() context.Context { return context.Background() }

// decide is the function of a decider.
func decide(_ context.Context, q visit.CheckInRequest) (visit.Decision, error) {
	if visit.IsBlank(q.Company) {
		return visit.Decision{Verdict: visit.Reject, VisitorText: "Please see reception."}, nil
	}
	return visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome!"}, nil
}

// A decider must decide about every visitor.
func ExampleAsk() {
	for _, v := range []subscribertest.Visit{subscribertest.Visitor(), subscribertest.NoCompany()} {
		d := subscribertest.Ask(t, decide, v.CheckInRequest())
		fmt.Println(d.Verdict, d.VisitorText)
	}
	// Output:
	// accept Welcome!
	// reject Please see reception.
}

// A visitor of the test's own.
func ExampleVisitor() {
	v := subscribertest.Visitor()
	v.Company, v.VisitorType = "Böhm & Söhne", "Interview"
	fmt.Println(v.CheckInRequest().Company, v.CheckedIn().VisitorType)
	// Output: Böhm & Söhne Interview
}

// A badge must be printed once, however often its event comes.
func ExampleDeliver() {
	printBadge := func(_ context.Context, e visit.Event) error {
		fmt.Println("badge for", e.Person.LastName)
		return nil
	}
	once := subscriber.Dedupe(subscriber.DedupeInMemory(1000), printBadge)
	for _, d := range subscribertest.Deliver(t, once, subscribertest.Visitor().CheckedIn()) {
		fmt.Println("delivered", d.Why)
	}
	// Output:
	// badge for Oyelaran
	// delivered new
	// delivered again
	// delivered after a restart
}
