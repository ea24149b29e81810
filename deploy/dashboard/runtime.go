package dashboard

var runtime = []panel{
	{
		show: bars, title: "Relays by version", unit: number, wide: 8, high: 7,
		about: "How many relays run which build. Bad when it is fewer than were asked for, or when two versions stay beside each other after a roll-out.",
		ask:   []query{{legend: "{{version}} {{go_version}}", expr: `count by (version, go_version) (sine_relay_build_info{<relay>})`}},
	},
	{
		show: lines, title: "Time since the start", unit: seconds, wide: 8, high: 7,
		about: "For how long each relay has run. Each fall to zero is a restart; bad when nobody asked for it.",
		ask:   []query{{legend: "{{pod}} {{instance}}", expr: `time() - max by (pod, instance) (` + ofRelay(`process_start_time_seconds{<relay>}`) + `)`}},
	},
	{
		show: stat, title: "Restarts", unit: number, wide: 4, high: 7, steps: anyIsOdd, none: "unknown",
		about: "Starts of relays in the time shown that were not the first at their address. Bad when nobody asked for them.",
		ask:   []query{{expr: `sum(` + ofRelay(`changes(process_start_time_seconds{<relay>}[$__range])`) + `)`}},
	},
	{
		show: stat, title: "Configuration", unit: "bool", wide: 4, high: 7, none: "unknown",
		about: "Whether the files of the configuration are in force on every relay, the files of keys can be read, no integration has errors, and each has a key. Bad when not: files with errors leave the state before them in force, keys that cannot be read may be accepted though they were taken away, and an integration without a key is answered 401.",
		means: []meaning{{"0", "has errors", "red"}, {"1", "in force", "green"}},
		ask: []query{
			{legend: "files", expr: `min(sine_relay_config_last_reload_successful{<relay>})`},
			{legend: "keys", expr: `min(sine_relay_api_keys_readable{<relay>})`},
			{legend: "integrations", expr: `1 - max(sine_relay_integration_invalid{<integration>})`},
			{legend: "a key each", expr: `min(clamp_max(sine_relay_integration_api_keys{<integration>}, 1))`},
		},
	},
	{
		show: lines, title: "CPU", unit: number, wide: 6, high: 7,
		about: "Cores that each relay uses. Bad when it stays at the pod's limit: responses take longer.",
		ask:   []query{{legend: "{{pod}} {{instance}}", expr: `sum by (pod, instance) (` + ofRelay(`rate(process_cpu_seconds_total{<relay>}[$__rate_interval])`) + `)`}},
	},
	{
		show: lines, title: "Memory", unit: size, wide: 6, high: 7,
		about: "Resident memory of each relay, and the smallest GOMEMLIMIT where one is set. Bad when it stays near the limit: the collector takes the time of the visitors.",
		ask: []query{
			{legend: "{{pod}} {{instance}}", expr: `sum by (pod, instance) (` + ofRelay(`process_resident_memory_bytes{<relay>}`) + `)`},
			{legend: "limit", expr: `min(` + ofRelay(`go_gc_gomemlimit_bytes{<relay>} < 1e15`) + `)`},
		},
		colors: []color{{"/^limit$/", "red"}},
	},
	{
		show: lines, title: "Goroutines", unit: number, wide: 6, high: 7,
		about: "Goroutines of each relay, some for each client. Bad when it rises and does not fall with the traffic.",
		ask:   []query{{legend: "{{pod}} {{instance}}", expr: `sum by (pod, instance) (` + ofRelay(`go_goroutines{<relay>}`) + `)`}},
	},
	{
		show: lines, title: "Pauses of the garbage collector", unit: seconds, wide: 6, high: 7,
		about: "The longest of each relay's recent pauses. Bad from some tens of milliseconds on: every visitor of that moment waits for it.",
		ask:   []query{{legend: "{{pod}} {{instance}}", expr: `max by (pod, instance) (` + ofRelay(`go_gc_duration_seconds{<relay>}`) + `)`}},
	},
	{
		show: gauges, title: "Certificates and credentials expire in", unit: "d", wide: 8, high: 8, none: "none",
		about: "Days until each certificate and the NATS credentials end, the soonest of all relays. Bad below 14: renew them; the relay takes new files without a restart.",
		steps: []step{{0, "red"}, {14, "orange"}, {30, "green"}},
		ask: []query{
			{legend: "{{certificate}}", expr: `(min by (certificate) (sine_relay_certificate_expiry_timestamp_seconds{<relay>} > 0) - time()) / 86400`},
			{legend: "NATS credentials", expr: `(min(sine_relay_nats_credentials_expiry_timestamp_seconds{<relay>} > 0) - time()) / 86400`},
		},
	},
	{
		show: table, title: "Keys by last use", unit: ago, wide: 8, high: 8, sort: "Last used",
		about: "When each API key was last used with success, by the name that people gave it. A key that was not used for long can go; one that is still used must not.",
		ask: []query{{legend: "Last used", means: []meaning{{"0", "never since the start", "text"}},
			expr: `max by (integration, api_key) (sine_relay_api_key_last_used_timestamp_seconds{<integration>}) * 1000`}},
	},
	{
		show: bars, title: "HTTP responses by status", unit: "reqpm", wide: 8, high: 8,
		about: "Responses of the public listener. 401 is a wrong key, 404 and 405 are strangers, 429 clients that fail again and again; 5xx is bad: an event was not stored.",
		ask:   []query{{legend: "{{code}}", expr: `60 * sum by (code) (rate(sine_relay_http_requests_total{<relay>}[$__rate_interval]))`}},
	},
	{
		show: lines, title: "Open connections", unit: number, wide: 12, high: 7,
		about: "Connections of each listener, at the relay that has most, and how many may be open on the public one. Bad at the limit: new connections close others.",
		ask: []query{
			{legend: "{{listener}}", expr: `max by (listener) (sine_relay_connections{<relay>})`},
			{legend: "limit", expr: `min(sine_relay_connections_limit{<relay>,listener="public"})`},
		},
		colors: []color{{"/^limit$/", "red"}},
	},
	{
		show: bars, title: "Connections closed to make room", unit: "reqpm", wide: 12, high: 7,
		about: "Connections that the relay closed because no more may be open. Unauthenticated are strangers, who harm nobody; idle and full are clients with a valid key, and bad.",
		ask:   []query{{legend: "{{listener}} {{reason}}", expr: `60 * sum by (listener, reason) (rate(sine_relay_connections_dropped_total{<relay>}[$__rate_interval]))`}},
	},
	{
		show: bars, title: "Requests that could not be read", unit: "reqpm", wide: 12, high: 7,
		about: "What is not an HTTP request that the relay reads, and TLS handshakes that failed: the server answers by itself. Strangers on the internet cause some. proxy_protocol, host and header_too_large are bad: a proxy is misconfigured.",
		ask:   []query{{legend: "{{listener}} {{reason}}", expr: `60 * sum by (listener, reason) (rate(sine_relay_http_requests_invalid_total{<relay>}[$__rate_interval])) > 0`}},
	},
	{
		show: bars, title: "Lines of the log that were lost", unit: "reqpm", wide: 12, high: 7,
		about: "Log lines that were not written: nobody reads the log, its pipe is broken or its disk is full. Bad when there are any: visitors are served all the same, and what happened to them is in no log.",
		ask:   []query{{legend: "{{pod}} {{instance}}", expr: `60 * sum by (pod, instance) (rate(sine_relay_log_lines_lost_total{<relay>}[$__rate_interval]))`}},
	},
}
