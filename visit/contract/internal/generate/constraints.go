package main

import (
	"slices"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/sine-relay/sine-relay/visit"
)

// namePattern is that of a name in a subject.
const namePattern = "^" + visit.NamePattern + "$"

// constraints are what comments say of fields and types do not, by "Type.Field".
var constraints = map[string]func(*jsonschema.Schema){
	"Event.ID":           matches("^[0-9a-f]{32}$"),
	"Origin.RequestID":   notEmpty,
	"Origin.Site":        matches(namePattern),
	"Origin.Integration": matches(namePattern),
	"Record.RequestID":   notEmpty,
	"Record.Site":        matches(namePattern),
	"Record.Integration": matches(namePattern),
	"Record.TookMs":      notNegative,
	"Vote.Decider":       matches(namePattern),
	"Vote.TookMs":        notNegative,
	"VisitKey.Value":     matches("^[A-Za-z0-9._:-]{1,128}$"),
	"Trace.XRequestID":   matches("^[A-Za-z0-9_.:-]{16,128}$"),
	"Trace.Traceparent":  matches("^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"),

	"Decision.VisitorText": atMost(8 << 10),
	"Decision.AdminNote":   atMost(8 << 10),
	"Decision.Decider":     atMost(8 << 10),
	"Decision.Version":     atMost(8 << 10),
	"Decision.Pass":        passFields,

	"Order.Site":    matches(orderSitePattern),
	"Order.Message": atMost(500),
	"Order.Reason":  atMost(500),
	"Order.By":      atMost(100),
	"Order.User":    atMost(100),
	"Order.Account": atMost(100),
	"Order.ID":      matches("^[A-Za-z0-9-]{0,64}$"),
	"Lift.Site":     matches(orderSitePattern),
	"Lift.Lifts":    matches("^[A-Za-z0-9-]{1,64}$"),
	"Lift.Reason":   atMost(500),
	"Lift.By":       atMost(100),
	"Lift.User":     atMost(100),
	"Lift.Account":  atMost(100),

	"Audit.ID":      matches("^[A-Za-z0-9-]{1,64}$"),
	"Audit.Site":    matches(orderSitePattern),
	"Audit.Subject": matches("^[A-Za-z0-9._:-]{0,128}$"),
	"Audit.User":    oneTo(255),
	"Audit.Role":    matches("^[A-Za-z0-9_-]{0,64}$"),
}

const orderSitePattern = `^(\*|` + visit.NamePattern + `)$`

func matches(pattern string) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.Pattern = pattern }
}

func atMost(characters int) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.MaxLength = &characters }
}

func oneTo(characters int) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.MinLength, s.MaxLength = new(1), &characters }
}

func notEmpty(s *jsonschema.Schema)    { s.MinLength = new(1) }
func notNegative(s *jsonschema.Schema) { s.Minimum = new(0.0) }

func passFields(s *jsonschema.Schema) {
	s.MaxProperties = new(64)
	s.PropertyNames = &jsonschema.Schema{MinLength: new(1), MaxLength: new(128)}
}

// values are those of the enumerations of which a field has a part only.
var values = map[string][]string{
	"Event.Kind": {"KindCheckedIn", "KindCheckedOut"},
}

// whole are constraints of a type as a whole.
var whole = map[string]func(*jsonschema.Schema){
	"Order": func(s *jsonschema.Schema) {
		override := any(string(visit.OrderOverride))
		s.If = &jsonschema.Schema{Properties: map[string]*jsonschema.Schema{"kind": {Const: &override}}}
		s.Then = &jsonschema.Schema{Required: []string{"reason", "until"}}
	},
}

// unused returns the constraints that no field has.
func (src *source) unused() (all []string) {
	for key := range constraints {
		if src.docs[key] == "" {
			all = append(all, key)
		}
	}
	for key := range values {
		if src.docs[key] == "" {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	return all
}
