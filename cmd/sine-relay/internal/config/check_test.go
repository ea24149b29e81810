package config

import (
	"testing"
)

func TestConfig_InvalidSettingsAreReported(t *testing.T) {
	dir := files(t, map[string]string{"text": "no PEM", "empty": " \n"})
	for _, c := range []struct {
		name     string
		settings []string
		want     string
	}{
		{"no NATS at all", []string{"NATS_URL="}, "SINE_RELAY_NATS_URL: is required"},
		{"two kinds of NATS", []string{"NATS_STORE_DIR=/x"}, "SINE_RELAY_NATS_STORE_DIR: must not be set together with SINE_RELAY_NATS_URL"},
		{"a list of no servers", []string{"NATS_URL=, ,"}, "SINE_RELAY_NATS_URL: must contain a server"},
		{"a server without a scheme", []string{"NATS_URL=nats:4222"}, "SINE_RELAY_NATS_URL: server 1 is not a valid URL"},
		{"a server on a port beyond all", []string{"NATS_URL=nats://a,nats://b:70000"}, "SINE_RELAY_NATS_URL: server 2 is not a valid URL"},
		{"another scheme", []string{"NATS_URL=mqtt://a"}, "SINE_RELAY_NATS_URL: server 1 must begin with"},
		{"WebSocket and TCP together", []string{"NATS_URL=nats://a,wss://b"}, "SINE_RELAY_NATS_URL: must not mix"},
		{"the TLS handshake first without TLS", []string{"NATS_URL=nats://a", "NATS_TLS_HANDSHAKE_FIRST=true"}, "SINE_RELAY_NATS_TLS_HANDSHAKE_FIRST: requires TLS: use tls://"},
		{"the TLS handshake first over WebSocket", []string{"NATS_URL=wss://a", "NATS_TLS_HANDSHAKE_FIRST=true"}, "SINE_RELAY_NATS_TLS_HANDSHAKE_FIRST: must not be set for WebSocket"},
		{"the TLS handshake first of the embedded NATS", []string{"NATS_URL=", "NATS_STORE_DIR=/x", "NATS_TLS_HANDSHAKE_FIRST=true"}, "SINE_RELAY_NATS_TLS_HANDSHAKE_FIRST: must not be set for the embedded NATS"},
		{"no key", []string{"KEYS="}, "SINE_RELAY_KEYS: is required"},
		{"only separators for keys", []string{"KEYS=, ,"}, "SINE_RELAY_KEYS: integration default: no API key"},
		{"two ways to sign in", []string{"NATS_TOKEN=t", "NATS_USER=u", "NATS_PASSWORD=p"}, "SINE_RELAY_NATS_TOKEN, SINE_RELAY_NATS_USER: only one of these 2 ways"},
		{"a user in the URL and a token", []string{"NATS_URL=nats://u:p@a", "NATS_TOKEN=t"}, "SINE_RELAY_NATS_TOKEN, SINE_RELAY_NATS_URL (its user): only one of these 2 ways"},
		{"a user without a password", []string{"NATS_USER=u"}, "SINE_RELAY_NATS_PASSWORD: must be set together"},
		{"a password without a user", []string{"NATS_PASSWORD=p"}, "SINE_RELAY_NATS_USER: must be set together"},
		{"a missing CA", []string{"NATS_CA_FILE=/nowhere"}, "SINE_RELAY_NATS_CA_FILE: cannot read the file: no such file"},
		{"a CA that is none", []string{"NATS_CA_FILE=" + dir + "/text"}, "SINE_RELAY_NATS_CA_FILE: " + dir + "/text must contain a certificate"},
		{"missing credentials", []string{"NATS_CREDENTIALS_FILE=/nowhere"}, "SINE_RELAY_NATS_CREDENTIALS_FILE"},
		{"a seed that is a directory", []string{"NATS_NKEY_FILE=" + dir}, "SINE_RELAY_NATS_NKEY_FILE: cannot read the file: not a regular file: a directory"},
		{"a certificate that is none", []string{"TLS_CERT_FILE=" + dir + "/text", "TLS_KEY_FILE=" + dir + "/text"}, "SINE_RELAY_TLS_CERT_FILE: " + dir + "/text and"},
		{"a key without its certificate", []string{"NATS_KEY_FILE=" + dir + "/text"}, "SINE_RELAY_NATS_CERT_FILE: must be set together with SINE_RELAY_NATS_KEY_FILE"},
		{"half a pair for the NATS listener", []string{"NATS_LISTEN_TLS_CERT_FILE=" + dir + "/text"}, "SINE_RELAY_NATS_LISTEN_TLS_KEY_FILE: must be set together"},
		{"an address without a port", []string{"LISTEN=localhost"}, `SINE_RELAY_LISTEN: must be host:port or :port, got "localhost"`},
		{"an address with an empty port", []string{"LISTEN=:"}, "SINE_RELAY_LISTEN"},
		{"a port beyond all", []string{"NATS_LISTEN=:99999"}, "SINE_RELAY_NATS_LISTEN"},
		{"one address for both listeners", []string{"ADMIN_LISTEN=:8080"}, "SINE_RELAY_ADMIN_LISTEN: must differ from SINE_RELAY_LISTEN, got :8080"},
		{"a budget that outlasts the answer", []string{"DECISION_BUDGET=11s"}, "SINE_RELAY_DECISION_BUDGET: must be shorter than SINE_RELAY_WRITE_TIMEOUT (10s), got 11s"},
		{"an answer that ends before the budget", []string{"WRITE_TIMEOUT=2s"}, "SINE_RELAY_STORE_BUDGET: must be shorter than SINE_RELAY_WRITE_TIMEOUT (2s), got 2s"},
		{"an answer that ends before a slow caller is done", []string{"READ_TIMEOUT=9s"}, "SINE_RELAY_WRITE_TIMEOUT: must be longer than SINE_RELAY_READ_TIMEOUT plus SINE_RELAY_STORE_BUDGET"},
		{"a limit of nothing", []string{"MAX_EVENTS=0"}, "SINE_RELAY_MAX_EVENTS: must be positive"},
		{"a negative timeout", []string{"READ_TIMEOUT=-5s"}, "SINE_RELAY_READ_TIMEOUT: must be positive"},
		{"less memory than one body", []string{"MAX_BODY_MEMORY=1KiB"}, "SINE_RELAY_MAX_BODY_MEMORY: must be at least 1597440 bytes, the memory of one body of SINE_RELAY_BODY_LIMIT, got 1024"},
		{"a prefix with a wildcard", []string{"SUBJECT_PREFIX=visitors.*"}, "SINE_RELAY_SUBJECT_PREFIX"},
		{"a prefix with an empty part", []string{"SUBJECT_PREFIX=a..b"}, "SINE_RELAY_SUBJECT_PREFIX"},
		{"an inbox with a wildcard", []string{"NATS_INBOX_PREFIX=_INBOX.>"}, "SINE_RELAY_NATS_INBOX_PREFIX"},
		{"an inbox within the subjects", []string{"NATS_INBOX_PREFIX=visitors.v1.event"}, "must not overlap"},
		{"subjects within the inbox", []string{"NATS_INBOX_PREFIX=acme", "SUBJECT_PREFIX=acme.visitors"}, "must not overlap"},
		{"a stream with a dot", []string{"EVENT_STREAM=a.b"}, "SINE_RELAY_EVENT_STREAM"},
		{"one stream for both", []string{"QUARANTINE_STREAM=VISITORS"}, "SINE_RELAY_QUARANTINE_STREAM"},
		{"events kept shorter than repeats are known", []string{"EVENT_STREAM_MAX_AGE=1h"}, "SINE_RELAY_EVENT_STREAM_MAX_AGE: must not be shorter"},
		{"repeats known for longer than the quarantine is kept", []string{"STREAM_DEDUPE_WINDOW=31d"}, "SINE_RELAY_QUARANTINE_STREAM_MAX_AGE: must not be shorter"},
		{"a stream of no size", []string{"EVENT_STREAM_MAX_BYTES=0"}, "SINE_RELAY_EVENT_STREAM_MAX_BYTES"},
		{"too many replicas", []string{"NATS_REPLICAS=7"}, "SINE_RELAY_NATS_REPLICAS: must be between 1 and 5, got 7"},
		{"a negative sync interval", []string{"NATS_SYNC_INTERVAL=-1s"}, `SINE_RELAY_NATS_SYNC_INTERVAL: must not be negative, got -1s`},
		{"a sync interval that outlives the dedupe window", []string{"NATS_SYNC_INTERVAL=16h"}, `SINE_RELAY_NATS_SYNC_INTERVAL: must be shorter than two thirds of SINE_RELAY_STREAM_DEDUPE_WINDOW (24h0m0s), got 16h0m0s`},
		{"an unknown group commit", []string{"GROUP_COMMIT=always"}, `SINE_RELAY_GROUP_COMMIT: must be auto, on or off, got "always"`},
		{"replicas in the embedded NATS", []string{"NATS_URL=", "NATS_STORE_DIR=/x", "NATS_REPLICAS=3"}, "SINE_RELAY_NATS_REPLICAS: must be 1 for the embedded NATS"},
		{"a site that is no name", []string{"SITE=Head Office"}, `SINE_RELAY_SITE: must match [A-Za-z0-9_-]{1,64}, got "Head Office"; did you mean "head-office"?`},
		{"an unknown zone", []string{"TIME_ZONE=Mars"}, `SINE_RELAY_TIME_ZONE: must be a time zone of the IANA database such as Australia/Adelaide, got "Mars"`},
		{"the zone of whichever machine", []string{"TIME_ZONE=Local"}, `SINE_RELAY_TIME_ZONE: must be a time zone of the IANA database such as Australia/Adelaide, got "Local"`},
		{"a negative delay", []string{"DRAIN_DELAY=-1s"}, "SINE_RELAY_DRAIN_DELAY"},
		{"a log level", []string{"LOG_LEVEL=loud"}, "SINE_RELAY_LOG_LEVEL"},
		{"a log format", []string{"LOG_FORMAT=xml"}, "SINE_RELAY_LOG_FORMAT"},
		{"a missing integrations file", []string{"INTEGRATIONS_FILE=/nowhere"}, "SINE_RELAY_INTEGRATIONS_FILE"},
		{"a missing directory of keys", []string{"KEYS_DIR=/nowhere"}, "SINE_RELAY_KEYS_DIR"},
		{"a missing secret file", []string{"NATS_TOKEN_FILE=/nowhere"}, "SINE_RELAY_NATS_TOKEN_FILE"},
		{"an empty secret file", []string{"NATS_TOKEN_FILE=" + dir + "/empty"}, "SINE_RELAY_NATS_TOKEN_FILE: " + dir + "/empty is empty"},
		{"a secret and its file", []string{"NATS_TOKEN=t", "NATS_TOKEN_FILE=" + dir + "/text"}, "SINE_RELAY_NATS_TOKEN_FILE: must not be set together with SINE_RELAY_NATS_TOKEN"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, invalid(t, c.settings...), c.want) })
	}
}

func TestConfig_UnusualSettingsAreValid(t *testing.T) {
	for name, settings := range map[string][]string{
		"every form of URL":             {"NATS_URL=nats://a, tls://b:4222,nats://[::1]:4222"},
		"servers over WebSocket":        {"NATS_URL=ws://a:80,wss://b/nats"},
		"a user in the URL":             {"NATS_URL=nats://u:p@a,nats://u:p@b"},
		"two listeners on chosen ports": {"LISTEN=127.0.0.1:0", "ADMIN_LISTEN=127.0.0.1:0"},
		"a port by its name":            {"LISTEN=:http"},
		"a prefix of several parts":     {"SUBJECT_PREFIX=acme.visitors"},
		"an embedded NATS":              {"NATS_URL=", "NATS_STORE_DIR=/var/lib/x"},
		"a level in capitals":           {"LOG_LEVEL=DEBUG"},
		"no delay before the end":       {"DRAIN_DELAY=0s"},
	} {
		t.Run(name, func(t *testing.T) { load(t, settings...) })
	}
}
