package dashboard

var checkIn = []panel{
	{
		show: table, title: "Integrations by fallbacks", unit: number, wide: 12, high: 9, sort: "Fallbacks",
		about: "Check-in requests of each integration in the time shown, the most fallbacks first. One integration with fallbacks among many without has a failing decider; all of them at once point to NATS.",
		ask: []query{
			{legend: "Requests", expr: `round(sum by (integration) (increase(sine_relay_webhooks_total{<integration>,kind="check_in_request"}[$__range])))`},
			{legend: "Decided", unit: share, steps: []step{{0, "red"}, {0.99, "orange"}, {0.999, "green"}},
				expr: `sum by (integration) (increase(sine_relay_webhooks_total{<integration>,kind="check_in_request",result=~"accepted|rejected"}[$__range]))` +
					` / (sum by (integration) (increase(sine_relay_webhooks_total{<integration>,kind="check_in_request",result!~"unasked|lockdown|override"}[$__range])) > 0)`},
			{legend: "Fallbacks", steps: anyIsBad,
				expr: `round(sum by (integration) (increase(sine_relay_webhooks_total{<integration>,kind="check_in_request",result=~"no_decider|timeout|disconnected|denied|bad_reply|overloaded|incomplete"}[$__range])))`},
			{legend: "Disconnected", steps: anyIsOdd,
				expr: `round(sum by (integration) (increase(sine_relay_webhooks_total{<integration>,kind="check_in_request",result="client_disconnected"}[$__range])))`},
		},
	},
	{
		show: ranked, title: "Decided, by integration", unit: share, wide: 12, high: 9, top: 1,
		about: "Share of each integration's check-in requests that got a decision; those for which no decider is asked do not count. Bad below 99.9 %; no line means no visitors.",
		ask: []query{{legend: "{{integration}}",
			expr: `sum by (integration) (rate(sine_relay_webhooks_total{<integration>,kind="check_in_request",result=~"accepted|rejected"}[$__rate_interval]))` +
				` / (sum by (integration) (rate(sine_relay_webhooks_total{<integration>,kind="check_in_request",result!~"unasked|lockdown|override"}[$__rate_interval])) > 0)`}},
	},
	{
		show: bars, title: "Check-in requests by result", unit: "reqpm", wide: 12, high: 8,
		about:  "How check-in requests were answered. Good is accepted and rejected, and unasked where conditions say so; the rest is fallbacks, orders and errors.",
		colors: []color{{"/^accepted$/", "green"}, {"/^rejected$/", "blue"}, {"/^unasked$/", "light-green"}, {"/^(lockdown|override)$/", "purple"}},
		ask:    []query{{legend: "{{result}}", expr: `60 * sum by (result) (rate(sine_relay_webhooks_total{<integration>,kind="check_in_request"}[$__rate_interval]))`}},
	},
	{
		show: bars, title: "Fallbacks by situation", unit: "reqpm", wide: 12, high: 8,
		about: "Check-in requests without a decision, by the situation: no decider, timeout, NATS unavailable, denied by NATS, invalid reply, overloaded, no visitor named. Anything is bad.",
		ask:   []query{{legend: "{{result}}", expr: `60 * sum by (result) (rate(sine_relay_webhooks_total{<integration>,kind="check_in_request",result=~"no_decider|timeout|disconnected|denied|bad_reply|overloaded|incomplete"}[$__rate_interval]))`}},
	},
	{
		show: lines, title: "Response time", unit: seconds, wide: 8, high: 7,
		about: "Time from the arrival of a webhook to its response, events included, since most URLs take all of them. Bad near the decision budget, 2.5 s by default.",
		ask: []query{
			{legend: "p50", expr: quantile("0.5", `sine_relay_http_request_duration_seconds{<relay>,route!="none"}`)},
			{legend: "p99", expr: quantile("0.99", `sine_relay_http_request_duration_seconds{<relay>,route!="none"}`)},
		},
	},
	{
		show: lines, title: "Decision time", unit: seconds, wide: 8, high: 7,
		about: "Time from sending a check-in request to a decider to its decision. Bad when the slowest near the decision budget, 2.5 s by default: the next are timeouts.",
		ask: []query{
			{legend: "p50", expr: quantile("0.5", `sine_relay_decider_request_duration_seconds{<relay>,result="decided"}`)},
			{legend: "p99", expr: quantile("0.99", `sine_relay_decider_request_duration_seconds{<relay>,result="decided"}`)},
		},
	},
	{
		show: bars, title: "Decider requests without a decision", unit: perMinute, wide: 8, high: 7,
		about: "Check-in requests to deciders that brought no decision, by decider and reason. Bad even where another decider's decision was enough.",
		ask:   []query{{legend: "{{decider}} {{result}}", expr: `60 * sum by (decider, result) (rate(sine_relay_decider_requests_total{<integration>,result!="decided"}[$__rate_interval]))`}},
	},
	{
		show: states, title: "Lockdown and override", unit: "bool", wide: 12, high: 6, means: yesIsBad,
		about: "The orders in force over time, by site; * is all sites. Bad is an order that nobody remembers, and orders that are unknown: then nobody is let in without a decision.",
		ask: []query{
			{legend: "{{type}} of {{site}}", expr: `max by (type, site) (sine_relay_standing_order_in_force{<relay>})`},
			{legend: "orders unknown", expr: `1 - min(sine_relay_standing_orders_known{<relay>})`},
			{legend: "not read for a minute", expr: `clamp_max(floor(max(time() - sine_relay_standing_orders_read_timestamp_seconds{<relay>}) / 60), 1)`},
			{legend: "{{state}} entries", expr: `clamp_max(max by (state) (sine_relay_standing_order_entries{<relay>}), 1)`},
		},
	},
	{
		show: ranked, title: "Deciders", unit: number, wide: 12, high: 6,
		about: "Programs that decide as each decider of each integration, the fewest first. Zero is bad, unless that decider is not a NATS micro service; one is a decider without a reserve.",
		ask:   []query{{legend: "{{integration}} {{decider}}", expr: `max by (integration, decider) (sine_relay_deciders{<integration>})`}},
	},
	{
		show: bars, title: "Replies: late, duplicate, ignored, none at first", unit: perMinute, wide: 6, high: 7,
		about: "Late: replies that came after the time was up. Bad: these visitors had a decision coming and got the fallback; programs that use visit/subscriber send none, and sine-relay deciders shows theirs. Duplicate: replies to a check-in request that had a reply already. Bad: a program replies in the place of another, or two programs decide without a queue group. Ignored: acknowledgements of a stream that takes check-in requests. Bad: it keeps personal data, and a missing decider is not noticed at once. Sent again: check-in requests that had no reply in half of their time, or whose connection dropped. Bad: a decider is slow, or one of its programs hangs.",
		ask: []query{
			{legend: "late", expr: `60 * sum(rate(sine_relay_decider_late_replies_total{<relay>}[$__rate_interval]))`},
			{legend: "duplicate, {{site}} {{decider}}", expr: `60 * sum by (site, decider) (rate(sine_relay_decider_duplicate_replies_total{<relay>}[$__rate_interval])) > 0`},
			{legend: "ignored", expr: `60 * sum(rate(sine_relay_ignored_replies_total{<relay>,reason="acknowledgement"}[$__rate_interval])) > 0`},
			{legend: "sent again, {{site}} {{decider}}, {{reason}}", expr: `60 * sum by (site, decider, reason) (rate(sine_relay_decider_request_retries_total{<relay>}[$__rate_interval])) > 0`},
		},
	},
	{
		show: lines, title: "Agreement of shadows", unit: share, wide: 6, high: 7, top: 1, none: "no shadows",
		about: "Share of a shadow decider's decisions that agree with the response. Low is bad only for somebody who means to put that decider in charge.",
		ask: []query{{legend: "{{integration}} {{decider}}",
			expr: `sum by (integration, decider) (rate(sine_relay_decider_shadow_decisions_total{<integration>,agreement="agrees"}[$__rate_interval]))` +
				` / (sum by (integration, decider) (rate(sine_relay_decider_shadow_decisions_total{<integration>}[$__rate_interval])) > 0)`}},
	},
	{
		show: bars, title: "Disconnected clients", unit: perMinute, wide: 6, high: 7,
		about: "Webhooks whose client disconnected before the response. Bad: Sine, or a proxy on the way, waits for less time than the relay takes.",
		ask:   []query{{legend: "{{kind}}", expr: `60 * sum by (kind) (rate(sine_relay_webhooks_total{<integration>,result="client_disconnected"}[$__rate_interval]))`}},
	},
	{
		show: lines, title: "Disconnected after", unit: seconds, wide: 6, high: 7,
		about: "How long clients that disconnected had waited. A round and steady number is somebody's time limit, and bad when it is shorter than the decision budget.",
		ask: []query{
			{legend: "p10", expr: quantile("0.1", `sine_relay_client_disconnect_duration_seconds{<relay>}`)},
			{legend: "p50", expr: quantile("0.5", `sine_relay_client_disconnect_duration_seconds{<relay>}`)},
		},
	},
	{
		show: lines, title: "Webhooks in flight", unit: number, wide: 8, high: 7,
		about: "Webhooks being answered right now, events included. Bad when it only rises: beyond SINE_RELAY_MAX_CHECK_IN_REQUESTS visitors get the fallback for overload.",
		ask:   []query{{legend: "{{integration}}", expr: `sum by (integration) (sine_relay_webhooks_in_flight{<integration>})`}},
	},
	{
		show: bars, title: "Records of decisions", unit: perMinute, wide: 8, high: 7,
		about:  "What became of the records of how check-in requests were answered. Failed and dropped are bad: nobody will be able to explain those responses.",
		colors: []color{{"/^stored$/", "green"}, {"/^spooled$/", "orange"}, {"/^(failed|dropped)$/", "red"}},
		ask:    []query{{legend: "{{result}}", expr: `60 * sum by (result) (rate(sine_relay_decision_records_total{<relay>}[$__rate_interval]))`}},
	},
	{
		show: bars, title: "Conditions that failed to evaluate", unit: perMinute, wide: 8, high: 7,
		about: "Check-in requests for which the condition of a decider failed to evaluate; the decider was asked. Bad: the condition reads a form answer that the form does not have.",
		ask:   []query{{legend: "{{integration}} {{decider}}", expr: `60 * sum by (integration, decider) (rate(sine_relay_decider_condition_errors_total{<integration>}[$__rate_interval]))`}},
	},
}
