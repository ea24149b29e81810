package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/sine-relay/sine-relay/visit"
)

func ref(path string) object { return object{{"$ref", path}} }

const information = `What Sine Relay sends over NATS, and what it takes from there.

Operations are those of the relay. So *send* is what your program receives, and the reply to ` + "`askDecider`" + ` is what your decider sends. *receive* is what operators' programs write.

Messages are CloudEvents 1.0 in binary mode where they have the ` + "`ce-*`" + ` headers. Names of headers are case-sensitive. Within v1, fields, headers and enumerated values are only ever added: ignore those that you do not know. The schemas are those of JSON Schema 2020-12 that package visit/contract and ` + "`sine-relay contract schema`" + ` have, in the part of it that draft-07 has, too; ` + "`x-schema-id`" + ` is the $id of each.`

// document is the AsyncAPI document over the schemas.
func document(schemas map[string]*jsonschema.Schema, examples map[string][]example) object {
	d := documentBuilder{schemas: object{}, examples: examples}
	// The first gives its name to a definition: closed enumerations have those of their
	// types, as for other programs there is nothing to add.
	for _, closed := range []bool{true, false} {
		for _, t := range schemaTypes {
			if t.Closed == closed {
				d.hoist(schemas[t.Name])
			}
		}
	}
	for _, t := range headersTypes {
		d.hoist(schemas[t.Name])
	}
	return object{
		{"asyncapi", "3.0.0"},
		{"id", strings.TrimSuffix(visit.SchemaRoot, "/")},
		{"info", object{
			{"title", "Sine Relay"}, {"version", "1"}, {"description", information},
			{"license", object{{"name", "Apache-2.0"}, {"url", "https://www.apache.org/licenses/LICENSE-2.0"}}},
			{"externalDocs", object{{"description", "The contract for other teams"}, {"url", "https://github.com/sine-relay/sine-relay/blob/main/docs/contract.md"}}},
		}},
		{"defaultContentType", visit.ContentJSON},
		{"servers", servers()},
		{"channels", channels()},
		{"operations", operations()},
		{"components", object{
			{"messages", d.messages()},
			{"schemas", d.schemas},
			{"securitySchemes", securitySchemes()},
		}},
	}
}

func servers() object {
	var security []object
	for _, s := range securitySchemes() {
		security = append(security, ref("#/components/securitySchemes/"+s.name))
	}
	return object{{"nats", object{
		{"host", "{host}:{port}"}, {"protocol", "nats"},
		{"description", "The NATS that the relay is connected to. Which of the security schemes it takes, and TLS, are the installation's choice; each user may do just what its part needs."},
		{"variables", object{
			{"host", object{{"default", "localhost"}}},
			{"port", object{{"default", "4222"}}},
		}},
		{"security", security},
	}}}
}

func securitySchemes() object {
	return object{
		{"userPassword", object{{"type", "userPassword"}, {"description", "A NATS user and its password. Give them apart from the URL: not every client reads them there."}}},
		{"token", object{{"type", "apiKey"}, {"in", "password"}, {"description", "A NATS token."}}},
		{"nkey", object{{"type", "asymmetricEncryption"}, {"description", "A NATS NKey: the client signs the server's nonce with its Ed25519 seed."}}},
		{"credentials", object{{"type", "asymmetricEncryption"}, {"description", "A NATS credentials file: a user's JWT with its NKey."}}},
		{"certificate", object{{"type", "X509"}, {"description", "A TLS client certificate."}}},
	}
}

func channels() object {
	site, decider := parameter("A site, as in the relay's configuration.", "hq"), parameter("A decider, as in the relay's configuration.", "default")
	kind := object{{"description", "Which event it is."}, {"enum", []visit.Kind{visit.KindCheckedIn, visit.KindCheckedOut}}}
	result := object{{"description", "How the check-in request was answered."}, {"enum", []string{visit.ResultAccepted, visit.ResultRejected}}}
	scope := parameter("`all`, or `site.` and the name of a site.", "site.hq")
	order := object{{"description", "What the order does."}, {"enum", []visit.OrderKind{visit.OrderLockdown, visit.OrderOverride}}}
	return object{
		{"checkInRequests", channel("Check-in requests", visit.Subjects{}.Ask("{site}", "{decider}"),
			"Core NATS requests to a decider, while a visitor waits. Deciders of one name share a queue group, so that each request goes to one of them. No stream may cover these subjects.",
			object{{"site", site}, {"decider", decider}}, "checkInRequest")},
		{"decisions", object{
			{"title", "Replies of deciders"}, {"address", nil},
			{"description", "The reply subject of a check-in request. A decider replies once, within the milliseconds of the header " + visit.HeaderTimeout + "."},
			{"messages", messageRefs("decision", "deciderError")},
		}},
		{"events", with(channel("Events", visit.Subjects{}.Event("{site}", "{kind}"),
			"Check-ins and check-outs. Each comes at least once; ce-id is the same for every delivery.",
			object{{"site", site}, {"kind", kind}}, "event"),
			stream(visit.DefaultEventStream, visit.RootEvent), field{"x-nats-consumer", object{
				{"durable_name", "badges"}, {"filter_subject", visit.Subjects{}.Events("hq")}, {"deliver_policy", "all"},
				{"ack_policy", "explicit"}, {"ack_wait", "30s"}, {"max_deliver", -1}, {"max_ack_pending", -1},
			}})},
		{"decisionRecords", with(channel("Decision records", visit.Subjects{}.Decision("{site}", "{result}"),
			"What each check-in request resulted in, and why, without personal data.",
			object{{"site", site}, {"result", result}}, "decisionRecord"), stream(visit.DefaultDecisionStream, visit.RootDecision))},
		{"quarantine", with(channel("Quarantine", visit.Subjects{}.Quarantine("{site}"),
			"What could not be understood, byte for byte, for operators.",
			object{{"site", site}}, "quarantined"), stream(visit.DefaultQuarantineStream, visit.RootQuarantine))},
		{"audit", with(channel("Audit", visit.Subjects{}.Audit("{site}", "{action}"),
			"What people did at the desk, the relay's web page: whose names were shown to whom, and who gave which order. No relay writes it.",
			object{{"site", parameter("A site, or `_all` for every site.", "hq")}, {"action", parameter("What was done.", string(visit.ActionReveal))}}, "audit"),
			stream(visit.DefaultAuditStream, visit.RootAudit))},
		{"standingOrders", with(channel("Standing orders", "$KV."+visit.DefaultOrderBucket+".{kind}.{scope}",
			"Lockdowns and overrides, one key each. A lift replaces the order that it ends; to delete a key lifts nothing.",
			object{{"kind", order}, {"scope", scope}}, "order", "lift"), field{"x-nats-key-value", object{{"bucket", visit.DefaultOrderBucket}}})},
	}
}

func parameter(description, example string) object {
	return object{{"description", description}, {"examples", []string{example}}}
}

func channel(title, address, description string, parameters object, messages ...string) object {
	return object{{"title", title}, {"address", address}, {"description", description}, {"parameters", parameters}, {"messages", messageRefs(messages...)}}
}

func with(o object, more ...field) object { return append(o, more...) }

// stream is the JetStream stream of a channel. An installation may choose another name.
func stream(name string, root visit.Root) field {
	return field{"x-nats-stream", object{{"name", name}, {"subjects", []string{visit.Subjects{}.All(root)}}, {"discard", "new"}}}
}

func messageRefs(names ...string) object {
	var all object
	for _, name := range names {
		all = append(all, field{name, ref("#/components/messages/" + name)})
	}
	return all
}

func operations() object {
	return object{
		{"askDecider", object{
			{"action", "send"}, {"channel", ref("#/channels/checkInRequests")},
			{"summary", "Ask a decider whether a visitor may come in."},
			{"description", "A decider subscribes in the queue group `q`, that of NATS micro services. It may get a request twice, with the same request id: see the header " + visit.HeaderAttempt + "."},
			{"bindings", object{{"nats", object{{"queue", "q"}, {"bindingVersion", "0.1.0"}}}}},
			{"messages", []object{ref("#/channels/checkInRequests/messages/checkInRequest")}},
			{"reply", object{
				{"channel", ref("#/channels/decisions")},
				{"messages", []object{ref("#/channels/decisions/messages/decision"), ref("#/channels/decisions/messages/deciderError")}},
			}},
		}},
		{"publishEvent", operation("send", "events", "Store that a visitor was checked in or out.", "event")},
		{"recordDecision", operation("send", "decisionRecords", "Store how a check-in request was answered.", "decisionRecord")},
		{"quarantine", operation("send", "quarantine", "Keep what could not be understood.", "quarantined")},
		{"audit", operation("send", "audit", "Store what somebody did at the desk.", "audit")},
		{"obeyOrders", operation("receive", "standingOrders", "Obey the standing orders of operators.", "order", "lift")},
	}
}

func operation(action, channel, summary string, messages ...string) object {
	var all []object
	for _, m := range messages {
		all = append(all, ref("#/channels/"+channel+"/messages/"+m))
	}
	return object{{"action", action}, {"channel", ref("#/channels/" + channel)}, {"summary", summary}, {"messages", all}}
}

type documentBuilder struct {
	schemas  object
	examples map[string][]example
}

// hoist adds a schema with its definitions to the components. In AsyncAPI an $id would
// be the base of the references in it.
func (d *documentBuilder) hoist(s *jsonschema.Schema) {
	renamed := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.Defs)) {
		renamed[name] = d.nameFor(name, s.Title, s.Defs[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Defs)) {
		d.add(renamed[name], s.Defs[name], renamed)
	}
	top := *s
	top.Extra = map[string]any{"x-schema-id": s.ID}
	top.ID, top.Schema, top.Comment, top.Defs, top.Examples = "", "", "", nil, nil
	d.add(s.Title, &top, renamed)
}

// nameFor is the name of a definition: that of its type, unless another message has a
// definition of this name that differs.
func (d *documentBuilder) nameFor(name, of string, s *jsonschema.Schema) string {
	for _, f := range d.schemas {
		if f.name == name && !bytes.Equal(mustMarshal(f.value), mustMarshal(relocated(s, nil))) {
			return of + name
		}
	}
	return name
}

func (d *documentBuilder) add(name string, s *jsonschema.Schema, renamed map[string]string) {
	if !slices.ContainsFunc(d.schemas, func(f field) bool { return f.name == name }) {
		d.schemas = append(d.schemas, field{name, relocated(s, renamed)})
	}
}

// relocated returns the schema with its references as they are in the document.
func relocated(s *jsonschema.Schema, renamed map[string]string) json.RawMessage {
	text := string(mustMarshal(s))
	for name, to := range renamed {
		text = strings.ReplaceAll(text, `"#/$defs/`+name+`"`, `"#/components/schemas/`+to+`"`)
	}
	return json.RawMessage(strings.ReplaceAll(text, `"#/$defs/`, `"#/components/schemas/`))
}

func (d *documentBuilder) messages() object {
	schema := func(name string) object { return ref("#/components/schemas/" + name) }
	correlation := field{"correlationId", object{{"location", "$message.header#/" + visit.HeaderRequestID}}}
	return object{
		{"checkInRequest", object{{"title", "Check-in request"}, {"contentType", visit.ContentJSON}, correlation,
			{"headers", schema("CheckInRequestHeaders")}, {"payload", schema("CheckInRequest")}, d.exampleList("check-in-request")}},
		{"decision", object{{"title", "Decision"}, {"contentType", visit.ContentJSON}, {"payload", schema("Decision")}, d.exampleList("decision")}},
		{"deciderError", object{{"title", "No decision"}, {"summary", "As of NATS micro services: the relay uses the integration's fallback at once."},
			{"headers", object{{"type", "object"}, {"required", []string{"Nats-Service-Error-Code"}}, {"properties", object{
				{"Nats-Service-Error-Code", object{{"type", "string"}, {"pattern", "^[0-9]+$"}, {"description", "503 when the decider is overloaded, 400 when it cannot read the request, 500 for any other error."}}},
				{"Nats-Service-Error", object{{"type", "string"}, {"description", "The error, without personal data. The relay does not read it."}}},
			}}}}}},
		{"event", object{{"title", "Event"}, {"contentType", visit.ContentJSON}, correlation,
			{"headers", schema("EventHeaders")}, {"payload", schema("Event")}, d.exampleList("event")}},
		{"decisionRecord", object{{"title", "Decision record"}, {"contentType", visit.ContentJSON}, correlation,
			{"headers", schema("DecisionRecordHeaders")}, {"payload", schema("DecisionRecord")}, d.exampleList("decision-record")}},
		{"quarantined", object{{"title", "Quarantined message"}, {"contentType", "application/octet-stream"}, correlation,
			{"headers", schema("QuarantinedHeaders")}, d.exampleList("quarantined")}},
		{"audit", object{{"title", "Audit entry"}, {"contentType", visit.ContentJSON},
			{"headers", schema("AuditHeaders")}, {"payload", schema("Audit")}, d.exampleList("audit")}},
		{"order", object{{"title", "Standing order"}, {"contentType", visit.ContentJSON}, {"payload", schema("Order")}, d.exampleList("order")}},
		{"lift", object{{"title", "Lift of a standing order"}, {"contentType", visit.ContentJSON}, {"payload", schema("Lift")}, d.exampleList("lift")}},
	}
}

func (d *documentBuilder) exampleList(of string) field {
	var all []object
	for _, e := range d.examples[of] {
		one := object{{"name", e.Name}, {"summary", e.Summary}}
		if len(e.Headers) > 0 {
			one = append(one, field{"headers", e.Headers})
		}
		// The payload of a quarantined message has no schema.
		if of != "quarantined" {
			one = append(one, field{"payload", e.Payload})
		}
		all = append(all, one)
	}
	return field{"examples", all}
}
