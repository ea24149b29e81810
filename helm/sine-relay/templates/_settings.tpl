{{- /* The relay's settings, by variable: (dict "root" $ "spool" true) */}}
{{- define "sine-relay.settings" -}}
{{- $v := .root.Values }}
SINE_RELAY_LISTEN: ":8080"
SINE_RELAY_ADMIN_LISTEN: ":9090"
{{- if $v.tls.secretName }}
SINE_RELAY_TLS_CERT_FILE: /etc/sine-relay/tls/tls.crt
SINE_RELAY_TLS_KEY_FILE: /etc/sine-relay/tls/tls.key
{{- end }}
SINE_RELAY_TRUSTED_PROXIES: {{ join "," $v.trustedProxies | quote }}
SINE_RELAY_FORWARDED_HEADER: {{ $v.forwardedHeader | quote }}
SINE_RELAY_PLAIN_HTTP: {{ $v.plainHTTP | quote }}
{{- if $v.nats.urlSecret.name }}
SINE_RELAY_NATS_URL_FILE: /etc/sine-relay/nats/url
{{- else }}
SINE_RELAY_NATS_URL: {{ $v.nats.url | quote }}
{{- end }}
{{- if $v.nats.credentials.secret.name }}
SINE_RELAY_NATS_CREDENTIALS_FILE: /etc/sine-relay/nats/nats.creds
{{- else if $v.nats.nkey.secret.name }}
SINE_RELAY_NATS_NKEY_FILE: /etc/sine-relay/nats/nkey.seed
{{- else if $v.nats.token.secret.name }}
SINE_RELAY_NATS_TOKEN_FILE: /etc/sine-relay/nats/token
{{- else if $v.nats.user }}
SINE_RELAY_NATS_USER: {{ $v.nats.user | quote }}
SINE_RELAY_NATS_PASSWORD_FILE: /etc/sine-relay/nats/password
{{- end }}
{{- with $v.nats.tls.secret }}
{{- if and .name .ca }}
SINE_RELAY_NATS_CA_FILE: /etc/sine-relay/nats-tls/{{ .ca }}
{{- end }}
{{- if and .name .cert }}
SINE_RELAY_NATS_CERT_FILE: /etc/sine-relay/nats-tls/{{ .cert }}
SINE_RELAY_NATS_KEY_FILE: /etc/sine-relay/nats-tls/{{ .key }}
{{- end }}
{{- end }}
SINE_RELAY_NATS_TLS_HANDSHAKE_FIRST: {{ $v.nats.tls.handshakeFirst | quote }}
SINE_RELAY_NATS_IGNORE_DISCOVERED_SERVERS: {{ $v.nats.ignoreDiscoveredServers | quote }}
SINE_RELAY_NATS_INBOX_PREFIX: {{ $v.nats.inboxPrefix | quote }}
SINE_RELAY_NATS_REPLICAS: {{ $v.streams.replicas | quote }}
SINE_RELAY_NATS_SYNC_INTERVAL: {{ $v.streams.syncInterval | quote }}
SINE_RELAY_GROUP_COMMIT: {{ $v.streams.groupCommit | quote }}
SINE_RELAY_SUBJECT_PREFIX: {{ $v.subjectPrefix | quote }}
SINE_RELAY_STREAM_DEDUPE_WINDOW: {{ $v.streams.dedupeWindow | quote }}
{{- range $stream, $values := dict "EVENT" $v.streams.events "DECISION" $v.streams.decisions "QUARANTINE" $v.streams.quarantine }}
SINE_RELAY_{{ $stream }}_STREAM: {{ $values.name | quote }}
SINE_RELAY_{{ $stream }}_STREAM_MAX_AGE: {{ $values.maxAge | quote }}
SINE_RELAY_{{ $stream }}_STREAM_MAX_BYTES: {{ $values.maxBytes | quote }}
{{- end }}
SINE_RELAY_ORDER_BUCKET: {{ $v.streams.orderBucket | quote }}
SINE_RELAY_ORDERS_MAX_AGE: {{ $v.streams.ordersMaxAge | quote }}
SINE_RELAY_ORDERS_UNKNOWN_OBEY_DECIDERS: {{ $v.streams.ordersUnknownObeyDeciders | quote }}
SINE_RELAY_OVERRIDE_MAX_DURATION: {{ $v.streams.overrideMaxDuration | quote }}
SINE_RELAY_INTEGRATIONS_FILE: /etc/sine-relay/integrations/integrations.yaml
SINE_RELAY_KEYS_DIR: /etc/sine-relay/keys
SINE_RELAY_DECISION_BUDGET: {{ $v.decisionBudget | quote }}
SINE_RELAY_STORE_BUDGET: {{ $v.storeBudget | quote }}
SINE_RELAY_BODY_LIMIT: {{ $v.bodyLimit | quote }}
SINE_RELAY_TIME_ZONE: {{ $v.timeZone | quote }}
SINE_RELAY_STATE_DIR: /var/lib/sine-relay/state
{{- if .spool }}
SINE_RELAY_SPOOL_DIR: /var/lib/sine-relay/spool
SINE_RELAY_SPOOL_MAX_BYTES: {{ $v.spool.maxBytes | quote }}
SINE_RELAY_SPOOL_MAX_AGE: {{ $v.spool.maxAge | quote }}
{{- end }}
SINE_RELAY_DRAIN_DELAY: "{{ int $v.shutdown.drainSeconds }}s"
SINE_RELAY_SHUTDOWN_TIMEOUT: "{{ int $v.shutdown.flushSeconds }}s"
SINE_RELAY_LOG_LEVEL: {{ $v.log.level | quote }}
SINE_RELAY_LOG_FORMAT: {{ $v.log.format | quote }}
{{- with include "sine-relay.memoryLimit" .root }}
GOMEMLIMIT: {{ . | quote }}
{{- end }}
{{- end }}

{{- /* Nine tenths of the memory limit, in bytes, as Go wants it; empty without
one, or where its unit is none that is known here. */}}
{{- define "sine-relay.memoryLimit" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources }}
{{- $limit = kindIs "string" $limit | ternary $limit (printf "%.0f" (float64 $limit)) }}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $limit }}
{{- $unit := trimPrefix $number $limit }}
{{- if and $number (hasKey $units $unit) }}
{{- mulf $number (get $units $unit) 0.9 | floor | int64 }}
{{- end }}
{{- end }}

{{- /* env of a container. What extraEnv names is taken from there alone. */}}
{{- define "sine-relay.env" -}}
{{- $own := include "sine-relay.settings" . | fromYaml }}
{{- range .root.Values.extraEnv }}
{{- $_ := unset $own .name }}
{{- end }}
{{- range $name, $value := $own }}
{{- if $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
