package dashboard

// notLetIn are the reasons for which nothing of a call is read.
const notLetIn = "missing_key|wrong_key|address|unknown_integration|no_key_configured|integration_invalid|plain_http"

var events = []panel{
	{
		show: table, title: "Events by integration", unit: number, wide: 24, high: 9, sort: "Refused",
		about: "What became of each integration's events in the time shown, the most refused first. Refused is bad, spooled is a NATS in trouble, wrong keys or no webhook for long is an integration that is set up wrongly.",
		ask: []query{
			{legend: "Last webhook", unit: ago, means: []meaning{{"0", "never", "orange"}}, expr: `max by (integration) (sine_relay_last_webhook_timestamp_seconds{<integration>}) * 1000`},
			{legend: "Stored", expr: `round(sum by (integration) (increase(sine_relay_events_settled_total{<integration>,result="stored"}[$__range])))`},
			{legend: "Duplicates", expr: `round(sum by (integration) (increase(sine_relay_events_settled_total{<integration>,result="duplicate"}[$__range])))`},
			{legend: "Spooled", steps: anyIsOdd, expr: `round(sum by (integration) (increase(sine_relay_events_settled_total{<integration>,result="spooled"}[$__range])))`},
			{legend: "Quarantined", steps: anyIsOdd, expr: `round(sum by (integration) (increase(sine_relay_events_settled_total{<integration>,result="quarantined"}[$__range])))`},
			{legend: "Refused", steps: anyIsBad, expr: `round(sum by (integration) (increase(sine_relay_events_settled_total{<integration>,result="refused"}[$__range])))`},
			{legend: "Not let in", steps: anyIsOdd, expr: `round(sum by (integration) (increase(sine_relay_webhooks_refused_total{<integration>,reason=~"` + notLetIn + `"}[$__range])))`},
		},
	},
	{
		show: bars, title: "Events by what became of them", unit: perMinute, wide: 12, high: 8,
		about:  "Events, and bodies that may have been some. Stored and duplicate are good; spooled is safe on the relay's disk; refused is lost.",
		colors: []color{{"/^stored$/", "green"}, {"/^duplicate$/", "light-green"}, {"/^spooled$/", "orange"}, {"/^quarantined$/", "purple"}, {"/^refused$/", "red"}},
		ask:    []query{{legend: "{{result}}", expr: `60 * sum by (result) (rate(sine_relay_events_settled_total{<integration>}[$__rate_interval]))`}},
	},
	{
		show: lines, title: "Spooled and refused, by integration", unit: perMinute, wide: 12, high: 8,
		about: "Events that NATS did not take in time, for integrations that have some. Bad for one alone: its messages are too large, say. For all of them: NATS is unavailable.",
		none:  "none",
		ask:   []query{{legend: "{{integration}} {{result}}", expr: `60 * sum by (integration, result) (rate(sine_relay_events_settled_total{<integration>,result=~"spooled|refused"}[$__rate_interval])) > 0`}},
	},
	{
		show: lines, title: "Time to acknowledgement", unit: seconds, wide: 8, high: 7,
		about: "Time from a message being ready to JetStream's acknowledgement. Bad near the store budget, 2 s by default: what takes longer is spooled or refused.",
		ask: []query{
			{legend: "p50", expr: quantile("0.5", `sine_relay_publish_duration_seconds{<relay>,result=~"stored|duplicate"}`)},
			{legend: "p99", expr: quantile("0.99", `sine_relay_publish_duration_seconds{<relay>,result=~"stored|duplicate"}`)},
		},
	},
	{
		show: bars, title: "Messages not stored, by reason", unit: perMinute, wide: 8, high: 7,
		about: "Attempts to store a message that did not end in its stream, retries of one call counted once. Anything is bad; spooled alone loses nothing.",
		ask:   []query{{legend: "{{result}}", expr: `60 * sum by (result) (rate(sine_relay_publishes_total{<integration>,result!~"stored|duplicate"}[$__rate_interval]))`}},
	},
	{
		show: lines, title: "Ledger: received less settled", unit: number, wide: 8, high: 7,
		about: "Events that were received and of which nothing has become yet. It is what is in flight; bad when it does not return to zero.",
		ask:   []query{{legend: "{{integration}}", expr: `sum by (integration) (sine_relay_events_received_total{<integration>}) - sum by (integration) (sine_relay_events_settled_total{<integration>})`}},
	},
	{
		show: lines, title: "Duplicates", unit: perMinute, wide: 8, high: 7,
		about: "Events that were stored already, by integration. Many are bad: somebody sends each of them twice, for instance two webhooks in Sine for one site.",
		ask:   []query{{legend: "{{integration}}", expr: `60 * sum by (integration) (rate(sine_relay_events_settled_total{<integration>,result="duplicate"}[$__rate_interval]))`}},
	},
	{
		show: lines, title: "Age of events and repeats", unit: seconds, wide: 8, high: 7,
		about: "How old events are when they come in, by the date that Sine gives them, and how long after the first a repeat comes. Hours are bad: Sine held them back, or a time zone is configured wrongly.",
		ask: []query{
			{legend: "events p50", expr: quantile("0.5", `sine_relay_event_age_seconds{<relay>}`)},
			{legend: "events p99", expr: quantile("0.99", `sine_relay_event_age_seconds{<relay>}`)},
			{legend: "repeats p50", expr: quantile("0.5", `sine_relay_event_duplicate_age_seconds{<relay>}`)},
		},
	},
	{
		show: bars, title: "Not understood, by reason", unit: perMinute, wide: 8, high: 7,
		about: "Bodies with a right key that could not be read. They are kept in the quarantine; of those too large, only the beginning. Anything is bad: Sine may have a new name for an event.",
		ask:   []query{{legend: "{{reason}}", expr: `60 * sum by (reason) (rate(sine_relay_webhooks_refused_total{<integration>,reason!~"` + notLetIn + `"}[$__rate_interval]))`}},
	},
	{
		show: bars, title: "Refused calls", unit: perMinute, wide: 8, high: 7, none: "none",
		about: "Calls with a wrong or missing key, from an address that is not allowed, by http where that is refused, or for an integration that is not configured, has no key or has errors. Bad for a known integration: somebody changed a key on one side only.",
		ask:   []query{{legend: "{{integration}} {{reason}}", expr: `60 * sum by (integration, reason) (rate(sine_relay_webhooks_refused_total{<integration>,reason=~"` + notLetIn + `"}[$__rate_interval])) > 0`}},
	},
	{
		show: lines, title: "Time since the last webhook", unit: seconds, wide: 8, high: 7,
		about: "How long ago each integration called. Bad when one is silent at an hour at which it never was.",
		ask:   []query{{legend: "{{integration}}", expr: `time() - max by (integration) (sine_relay_last_webhook_timestamp_seconds{<integration>} > 0)`}},
	},
	{
		show: lines, title: "Fields missing that were there", unit: number, wide: 8, high: 7, none: "none",
		about: "1 while a field that an integration's bodies had is missing from all of them: Sine has likely renamed it. Anything is bad: deciders and subscribers do not get it until the configuration names its new place.",
		ask:   []query{{legend: "{{integration}} {{kind}} {{field}}", expr: `max by (integration, kind, field) (sine_relay_field_drift{<integration>})`}},
	},
	{
		show: lines, title: "Bodies that have a field", unit: share, wide: 8, high: 7, top: 1,
		about: "In which part of the bodies each field was found, over the chosen integrations. Bad when one falls from one day to the next.",
		ask:   []query{{legend: "{{field}}", expr: `sum by (field) (rate(sine_relay_fields_total{<integration>,result="found"}[1h])) / (sum by (field) (rate(sine_relay_fields_total{<integration>}[1h])) > 0)`}},
	},
	{
		show: bars, title: "New unknown keys", unit: number, wide: 8, high: 7, none: "none",
		about: "Keys in bodies that lead to no field and came for the first time since the relay's start; the log has their names, line \"unknown keys\". After a restart there are always some. Otherwise Sine sends something new.",
		ask:   []query{{legend: "{{integration}}", expr: `round(sum by (integration) (increase(sine_relay_unknown_keys_total{<integration>}[$__rate_interval]))) > 0`}},
	},
	{
		show: bars, title: "Odd but understood", unit: perMinute, wide: 8, high: 7, none: "none",
		about: "Webhooks that came by http, of which a trusted proxy does not pass on the client's address, whose content type was not JSON, whose body names another event than their URL, or that do not say who the visitor is: no event is lost, but the URL in Sine is likely the wrong one, and a key that came by http must be changed. And events with the visit id and date of another, which are kept as two: that id does not tell visits apart.",
		ask: []query{
			{legend: "{{integration}} http", expr: `60 * sum by (integration) (rate(sine_relay_webhooks_plain_http_total{<integration>}[$__rate_interval])) > 0`},
			{legend: "{{integration}} no client address", expr: `60 * sum by (integration) (rate(sine_relay_webhooks_without_client_address_total{<integration>}[$__rate_interval])) > 0`},
			{legend: "{{integration}} content type", expr: `60 * sum by (integration) (rate(sine_relay_webhooks_wrong_content_type_total{<integration>}[$__rate_interval])) > 0`},
			{legend: "{{integration}} other event", expr: `60 * sum by (integration) (rate(sine_relay_webhooks_kind_mismatches_total{<integration>}[$__rate_interval])) > 0`},
			{legend: "{{integration}} other external id", expr: `60 * sum by (integration) (rate(sine_relay_webhooks_external_id_mismatches_total{<integration>}[$__rate_interval])) > 0`},
			{legend: "{{integration}} incomplete", expr: `60 * sum by (integration) (rate(sine_relay_webhooks_incomplete_total{<integration>}[$__rate_interval])) > 0`},
			{legend: "{{integration}} same visit id", expr: `60 * sum by (integration) (rate(sine_relay_visit_id_conflicts_total{<integration>}[$__rate_interval])) > 0`},
		},
	},
}
