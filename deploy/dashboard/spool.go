package dashboard

var spool = []panel{
	{
		show: lines, title: "Messages that wait", unit: number, wide: 8, high: 7, none: "no spool",
		about: "Messages in each relay's spool, and those of them that wait for longer than SINE_RELAY_SPOOL_MAX_AGE. Bad when it rises while NATS is connected.",
		ask: []query{
			{legend: "{{pod}} {{instance}}", expr: `sum by (pod, instance) (sine_relay_spool_messages{<relay>})`},
			{legend: "{{pod}} {{instance}} too old", expr: `sum by (pod, instance) (sine_relay_spool_expired_messages{<relay>})`},
		},
	},
	{
		show: gauges, title: "Bytes against the limit", unit: share, wide: 8, high: 7, top: 1, none: "no spool",
		about: "How much of each spool's room is taken. Orange from 80 %; a full spool refuses events.",
		steps: []step{{0.8, "orange"}, {0.95, "red"}},
		ask:   []query{{legend: "{{pod}} {{instance}}", expr: `sum by (pod, instance) (sine_relay_spool_bytes{<relay>}) / sum by (pod, instance) (sine_relay_spool_limit_bytes{<relay>})`}},
	},
	{
		show: lines, title: "Bytes that wait", unit: size, wide: 8, high: 7, none: "no spool",
		about: "Bytes in each relay's spool, the smallest limit of all, and what is free on a disk where that is less than the limit. Bad when a line is on its way to the limit, or the disk's to zero.",
		ask: []query{
			{legend: "{{pod}} {{instance}}", expr: `sum by (pod, instance) (sine_relay_spool_bytes{<relay>})`},
			{legend: "limit", expr: `min(sine_relay_spool_limit_bytes{<relay>})`},
			{legend: "{{pod}} {{instance}} free on the disk", expr: `min by (pod, instance) (sine_relay_spool_disk_free_bytes{<relay>} < sine_relay_spool_limit_bytes{<relay>})`},
		},
		colors: []color{{"/^limit$/", "red"}},
	},
	{
		show: lines, title: "Age of the oldest", unit: seconds, wide: 8, high: 7, none: "no spool",
		about: "How long the oldest message of each spool has waited, zero when none does. Bad when it rises while NATS is connected: something keeps that message back.",
		ask: []query{{legend: "{{pod}} {{instance}}",
			expr: `max by (pod, instance) ((time() - (sine_relay_spool_oldest_timestamp_seconds{<relay>} > 0)) or 0 * sine_relay_spool_oldest_timestamp_seconds{<relay>})`}},
	},
	{
		show: lines, title: "In and out", unit: perMinute, wide: 8, high: 7, none: "no spool",
		about: "Messages that went into the spools, from there to their streams, or to the quarantine after their stream refused them again and again, and those for which there was no room. Refused and quarantined are bad.",
		ask: []query{
			{legend: "in", expr: `60 * sum(rate(sine_relay_spool_spooled_total{<relay>}[$__rate_interval]))`},
			{legend: "out", expr: `60 * sum(rate(sine_relay_spool_forwarded_total{<relay>}[$__rate_interval]))`},
			{legend: "quarantined", expr: `60 * sum(rate(sine_relay_spool_quarantined_total{<relay>}[$__rate_interval]))`},
			{legend: "refused", expr: `60 * sum(rate(sine_relay_spool_refused_total{<relay>}[$__rate_interval]))`},
		},
		colors: []color{{"/^(quarantined|refused)$/", "red"}},
	},
	{
		show: lines, title: "Ledger: in less out less waiting", unit: number, wide: 8, high: 7, none: "no spool",
		about: "What each spool took over and took in, less what left it and what waits in it. Bad when it is not zero for longer than a moment: the books do not balance.",
		ask: []query{{legend: "{{pod}} {{instance}}",
			expr: `sum by (pod, instance) (sine_relay_spool_recovered_total{<relay>} + sine_relay_spool_spooled_total{<relay>} - sine_relay_spool_forwarded_total{<relay>} - sine_relay_spool_quarantined_total{<relay>} - sine_relay_spool_messages{<relay>})`}},
	},
	{
		show: states, title: "Condition", unit: "bool", wide: 24, high: 6, means: yesIsBad, none: "no spool",
		about: "Whether a spool is nearly full or full, or refuses an integration that has its share of it, cannot be used, or was found damaged. Each is bad; a damaged file is kept under another name, and what could be read of it was recovered.",
		ask: []query{
			{legend: "{{pod}} {{instance}} nearly full", expr: `max by (pod, instance) (sine_relay_spool_nearly_full{<relay>})`},
			{legend: "{{pod}} {{instance}} full", expr: `max by (pod, instance) (sine_relay_spool_full{<relay>})`},
			{legend: "{{pod}} {{instance}} shares exhausted", expr: `clamp_max(max by (pod, instance) (sine_relay_spool_shares_exhausted{<relay>}), 1)`},
			{legend: "{{pod}} {{instance}} damaged", expr: `max by (pod, instance) (sine_relay_spool_damaged{<relay>})`},
			{legend: "{{pod}} {{instance}} unusable", expr: `1 - min by (pod, instance) (sine_relay_spool_usable{<relay>})`},
		},
	},
	{
		show: lines, title: "Kept until NATS has synced it", unit: number, wide: 12, high: 7, none: "no spool",
		about: "Acknowledged messages that each relay keeps in case NATS loses them with its power. It follows the events of the last minutes. Not kept is bad: the disk fails or is too slow.",
		ask: []query{
			{legend: "{{pod}} {{instance}}", expr: `sum by (pod, instance) (sine_relay_window_messages{<relay>})`},
			{legend: "{{pod}} {{instance}} not kept", expr: `sum by (pod, instance) (increase(sine_relay_window_left_out_total{<relay>}[$__rate_interval])) > 0`},
		},
	},
	{
		show: bars, title: "Sent again", unit: perMinute, wide: 12, high: 7,
		about: "Acknowledged messages that were sent again, and how often a stream lost what it had acknowledged. The first is harmless after each start of NATS, the second is bad at any height.",
		ask: []query{
			{legend: "sent again", expr: `60 * sum(rate(sine_relay_window_resent_total{<relay>}[$__rate_interval]))`},
			{legend: "{{stream}} lost messages", expr: `60 * sum by (stream) (rate(sine_relay_stream_losses_total{<relay>}[$__rate_interval])) > 0`},
		},
	},
	{
		show: lines, title: "Bytes of what is kept", unit: size, wide: 24, high: 6, none: "no spool",
		about: "Bytes of the files of acknowledged messages that are kept. A quarter of the spool's limit at most, 256 MiB at most.",
		ask:   []query{{legend: "{{pod}} {{instance}}", expr: `sum by (pod, instance) (sine_relay_window_bytes{<relay>})`}},
	},
}
