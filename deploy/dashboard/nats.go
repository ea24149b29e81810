package dashboard

var nats = []panel{
	{
		show: states, title: "Connected", unit: "bool", wide: 12, high: 7, means: noIsBad,
		about: "Each relay's two connections to NATS. Red is bad: without both, visitors get fallbacks; without the one for events, events are spooled or refused. One relay alone points to its node or its network. Red in the last line: NATS does not authenticate its users.",
		ask: []query{
			{legend: "{{connection}} {{pod}} {{instance}}", expr: `min by (connection, pod, instance) (sine_relay_nats_connected{<relay>})`},
			{legend: "authentication", expr: `1 - max(sine_relay_nats_unauthenticated{<relay>})`},
		},
	},
	{
		show: bars, title: "Reconnections", unit: perMinute, wide: 6, high: 7,
		about: "Connections that were made again after they dropped. A few during a roll-out of NATS are normal; bad when it goes on.",
		ask:   []query{{legend: "{{connection}}", expr: `60 * sum by (connection) (rate(sine_relay_nats_reconnects_total{<relay>}[$__rate_interval]))`}},
	},
	{
		show: bars, title: "Errors by reason", unit: perMinute, wide: 6, high: 7,
		about: "Errors on the connections, failed attempts to connect included. Authorization, TLS and permission are bad until a person mends them; others pass with the outage. Acknowledged twice is bad: something other than a stream acknowledges.",
		ask: []query{
			{legend: "{{connection}} {{reason}}", expr: `60 * sum by (connection, reason) (rate(sine_relay_nats_errors_total{<relay>}[$__rate_interval]))`},
			{legend: "acknowledged twice", expr: `60 * sum(rate(sine_relay_duplicate_acknowledgements_total{<relay>}[$__rate_interval])) > 0`},
		},
	},
	{
		show: states, title: "Streams usable", unit: "bool", wide: 12, high: 6, means: noIsBad,
		about: "Whether each stream was there and usable at the last inspection of every relay, and took the last message. Red is bad: what belongs there is spooled or refused.",
		ask: []query{
			{legend: "{{stream}}", expr: `min by (stream) (sine_relay_stream_usable{<relay>})`},
			{legend: "{{stream}} has room", expr: `1 - max by (stream) (sine_relay_stream_full{<relay>})`},
			{legend: "quarantine has room for each", expr: `1 - clamp_max(max(sine_relay_quarantine_shares_exhausted{<relay>}), 1)`},
		},
	},
	{
		show: states, title: "Streams that differ from the settings", unit: "bool", wide: 12, high: 6, means: []meaning{{"1", "differs", "orange"}}, none: "none",
		about: "Fields of a stream that are not as the relay's settings say, while the stream still works. Bad unless somebody meant it: a stream that discards the oldest loses visitors when it is full.",
		ask:   []query{{legend: "{{stream}} {{field}}", expr: `max by (stream, field) (sine_relay_stream_drift{<relay>}) > 0`}},
	},
	{
		show: gauges, title: "Bytes of streams against their limits", unit: share, wide: 8, high: 7, top: 1, none: "no limit",
		about: "How much of each stream's limit is taken. Orange from 80 %; a full stream refuses new messages.",
		steps: []step{{0.8, "orange"}, {0.95, "red"}},
		ask:   []query{{legend: "{{stream}}", expr: `max by (stream) (sine_relay_stream_bytes{<relay>}) / (max by (stream) (sine_relay_stream_limit_bytes{<relay>}) > 0)`}},
	},
	{
		show: lines, title: "Bytes of streams", unit: size, wide: 16, high: 7,
		about: "Bytes in each stream. Bad when one grows faster than its maximum age empties it: the gauge beside this says how far it is from its limit.",
		ask:   []query{{legend: "{{stream}}", expr: `max by (stream) (sine_relay_stream_bytes{<relay>})`}},
	},
	{
		show: bars, title: "Search for deciders", unit: perMinute, wide: 24, high: 6,
		about: "Replies to the relays' search for deciders that were too large to be read, and searches that ended early because too many came. Bad at any height: a program replies that should not, and a missing decider may go unnoticed.",
		ask:   []query{{legend: "{{reason}}", expr: `60 * sum by (reason) (rate(sine_relay_decider_discovery_ignored_total{<relay>}[$__rate_interval]))`}},
	},
}
