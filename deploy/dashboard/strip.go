package dashboard

// Numbers that may well be zero are worth nothing where nobody knows them: they
// come from relays that know, or not at all.
var strip = []panel{
	{
		show: stat, title: "Decided", unit: share, wide: 4, high: 4, none: "no visitors",
		about: "Check-in requests that got a decider's decision, in the time shown, of those for which a decider was asked. Below 99.9 %, visitors are getting fallbacks.",
		steps: []step{{0, "red"}, {0.99, "orange"}, {0.999, "green"}},
		ask: []query{{expr: `sum(increase(sine_relay_webhooks_total{<integration>,kind="check_in_request",result=~"accepted|rejected"}[$__range]))` +
			` / (sum(increase(sine_relay_webhooks_total{<integration>,kind="check_in_request",result!~"unasked|lockdown|override"}[$__range])) > 0)`}},
	},
	{
		show: stat, title: "Events refused", unit: number, wide: 4, high: 4, none: "unknown", steps: anyIsBad,
		about: "Events that were neither stored nor spooled in the time shown. Each is a visitor lost, unless Sine sends it again.",
		ask:   []query{{expr: `round(sum(increase(sine_relay_events_settled_total{<integration>,result="refused"}[$__range])))`}},
	},
	{
		show: stat, title: "Waiting in spools", unit: number, wide: 4, high: 4, none: "no spool", steps: anyIsOdd,
		about: "Messages on the relays' own disks because NATS did not take them. Bad when it does not go back to zero soon after NATS is back.",
		ask:   []query{{expr: `sum(sine_relay_spool_messages{<relay>})`}},
	},
	{
		show: stat, title: "NATS", unit: number, wide: 4, high: 4, none: "unknown",
		about: "Whether every relay has both of its connections to NATS. Without the one for check-in requests they go by the other; without both, visitors get fallbacks. Without the one for events, events are spooled or refused.",
		means: []meaning{{"0", "disconnected", "red"}, {"1", "connected", "green"}},
		ask:   []query{{expr: `min(sine_relay_nats_connected{<relay>})`}},
	},
	{
		show: stat, title: "Orders in force", unit: number, wide: 4, high: 4, none: "unknown", steps: anyIsBad,
		about: "Lockdowns and overrides in force, each counted for one site or for all sites. Bad when nobody remembers having given them.",
		ask: []query{
			{expr: `count(max by (namespace, job, site) (sine_relay_standing_order_in_force{<relay>,type="lockdown"})) or 0 * count(sine_relay_standing_orders_known{<relay>} == 1)`, legend: "lockdown"},
			{expr: `count(max by (namespace, job, site) (sine_relay_standing_order_in_force{<relay>,type="override"})) or 0 * count(sine_relay_standing_orders_known{<relay>} == 1)`, legend: "override"},
		},
	},
	{
		show: stat, title: "Deciders missing", unit: number, wide: 4, high: 4, none: "unknown", steps: anyIsBad,
		about: "Deciders of integrations for which no program answers, as NATS discovery shows it. Bad above zero, unless that decider is not a NATS micro service, which cannot be seen.",
		ask: []query{{expr: `count(max by (namespace, job, integration, decider) (sine_relay_deciders{<integration>} and on (namespace, job, instance) (sine_relay_deciders_known{<relay>} == 1)) == 0)` +
			` or 0 * count(sine_relay_deciders_known{<relay>} == 1)`}},
	},
}
