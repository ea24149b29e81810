package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/sine-relay/sine-relay/visit"
)

// header is one header of a message. Its constant in package visit has its name and its
// comment.
type header struct {
	constant string
	required bool
	value    *jsonschema.Schema
}

// headersType is a message whose headers have a schema.
type headersType struct {
	Name, Title, Description string
	Headers                  []header
}

// of is the message that has the headers.
func (t headersType) of() string { return strings.TrimSuffix(t.Name, "-headers") }

const headersText = "Names are case-sensitive in NATS and in its clients; each header has one value."

var headersTypes = []headersType{
	{
		Name: "check-in-request-headers", Title: "CheckInRequestHeaders", Description: "The headers of a check-in request.",
		Headers: append(originHeaders(),
			header{"HeaderContentType", true, exactly(visit.ContentJSON)},
			header{"HeaderTimeout", true, pattern("^[1-9][0-9]*$")},
			header{"HeaderAttempt", false, pattern("^[1-9][0-9]*$")},
		),
	},
	{
		Name: "event-headers", Title: "EventHeaders", Description: "The headers of an event: a CloudEvent 1.0 in binary mode.",
		Headers: append(append(cloudEventHeaders(pattern("^[0-9a-f]{32}$"), visit.EventSchema,
			oneOf(visit.EventType(visit.KindCheckedIn), visit.EventType(visit.KindCheckedOut))), originHeaders()...),
			header{"HeaderCorrects", false, pattern("^[0-9a-f]{32}$")}),
	},
	{
		Name: "decision-record-headers", Title: "DecisionRecordHeaders", Description: "The headers of a decision record: a CloudEvent 1.0 in binary mode.",
		Headers: append(cloudEventHeaders(anyText(), visit.RecordSchema, exactly(typeOf(&visit.Record{}))), originHeaders()...),
	},
	{
		Name: "audit-headers", Title: "AuditHeaders", Description: "The headers of an audit entry: a CloudEvent 1.0 in binary mode.",
		Headers: slices.DeleteFunc(withSource(exactly(visit.AuditSource), cloudEventHeaders(anyText(), visit.AuditSchema, exactly(typeOf(&visit.Audit{})))),
			func(h header) bool { return h.constant == "HeaderSubject" }),
	},
	{
		Name: "quarantined-headers", Title: "QuarantinedHeaders",
		Description: "The headers of a quarantined message. Its payload is the body as Sine sent it, byte for byte, which may be anything.",
		Headers: append(originHeaders(),
			header{"HeaderMsgID", true, anyText()},
			header{"HeaderReason", true, constantsOf("Reason")},
			header{"HeaderReceived", true, dateTime()},
			header{"HeaderKind", false, constantsOf("Kind")},
			header{"HeaderTimeZone", false, anyText()},
			header{"HeaderID", false, pattern("^[0-9a-f]{32}$")},
			header{"HeaderRefusedSubject", false, anyText()},
			header{"HeaderContentEncoding", false, anyText()},
			header{"HeaderContentLength", false, pattern("^[1-9][0-9]*$")},
			header{"HeaderCut", false, exactly("true")},
			header{"HeaderSynthetic", false, exactly("true")},
		),
	},
}

func originHeaders() []header {
	return []header{
		{"HeaderRequestID", true, anyText()},
		{"HeaderIntegration", true, pattern(namePattern)},
		{"HeaderXRequestID", false, anyText()},
		{"HeaderTraceparent", false, anyText()},
	}
}

func cloudEventHeaders(id *jsonschema.Schema, schema string, typed *jsonschema.Schema) []header {
	return []header{
		{"HeaderSpecVersion", true, exactly(visit.SpecVersion)},
		{"HeaderID", true, id},
		{"HeaderMsgID", true, id},
		{"HeaderType", true, typed},
		{"HeaderSource", true, pattern(fmt.Sprintf("^%s$", visit.EventSource(visit.NamePattern, visit.NamePattern)))},
		{"HeaderTime", true, dateTime()},
		{"HeaderSubject", false, anyText()},
		{"HeaderDataContentType", true, exactly(visit.ContentJSON)},
		// Not required: older messages in the streams do not have it.
		{"HeaderDataSchema", false, exactly(schema)},
		{"HeaderContentType", true, exactly(visit.ContentJSON)},
	}
}

// withSource replaces the source of a CloudEvent.
func withSource(source *jsonschema.Schema, all []header) []header {
	for i := range all {
		if all[i].constant == "HeaderSource" {
			all[i].value = source
		}
	}
	return all
}

// typeOf is the CloudEvents type of a message.
func typeOf(empty interface {
	Message(visit.Subjects) (visit.Message, error)
}) string {
	m, err := empty.Message(visit.Subjects{})
	if err != nil {
		panic(err) // an empty one can be encoded
	}
	return strings.Join(m.Header[visit.HeaderType], "")
}

// constantsOf stands for the values of a type, which only the source has.
func constantsOf(of string) *jsonschema.Schema { return &jsonschema.Schema{Title: of} }

func anyText() *jsonschema.Schema { return &jsonschema.Schema{Type: "string", MinLength: new(1)} }

func pattern(p string) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Pattern: p} }

func dateTime() *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Format: "date-time"} }

func exactly(text string) *jsonschema.Schema {
	value := any(text)
	return &jsonschema.Schema{Type: "string", Const: &value}
}

// oneOf is an open enumeration.
func oneOf(texts ...string) *jsonschema.Schema {
	known := &jsonschema.Schema{Type: "string"}
	for _, t := range texts {
		known.Enum = append(known.Enum, t)
	}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{known, {Type: "string", Description: openEnum}}}
}

// headers returns the schema of a message's headers.
func (src *source) headers(t headersType, examples []example) (*jsonschema.Schema, error) {
	s := &jsonschema.Schema{
		Schema: draft, ID: visit.SchemaRoot + t.Name + ".schema.json", Comment: generated, Title: t.Title,
		Description: t.Description + "\n\n" + headersText + " " + openText,
		Type:        "object", Properties: map[string]*jsonschema.Schema{}, AdditionalProperties: &jsonschema.Schema{},
	}
	for _, h := range t.Headers {
		name, comment := src.values[h.constant], src.describe(src.docs[h.constant])
		if name == "" || comment == "" {
			return nil, fmt.Errorf("visit.%s is not a text with a comment", h.constant)
		}
		value := *h.value
		if of := value.Title; of != "" {
			b := builder{source: src}
			value = *b.enumeration(src.enums[of])
			comment += "\n\n" + b.list(src.enums[of])
		}
		value.Description = comment
		s.Properties[name] = &value
		s.PropertyOrder = append(s.PropertyOrder, name)
		if h.required {
			s.Required = append(s.Required, name)
		}
	}
	for _, e := range examples {
		s.Examples = append(s.Examples, e.Headers)
	}
	return s, nil
}
