{{- define "sine-relay.desk.fullname" -}}
{{- printf "%s-desk" (include "sine-relay.fullname" .) }}
{{- end }}

{{- define "sine-relay.desk.selector" -}}
app.kubernetes.io/name: {{ include "sine-relay.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: desk
{{- end }}

{{- define "sine-relay.desk.portName" -}}
{{- ternary "https" "http" (not (empty .Values.desk.tls.secretName)) }}
{{- end }}

{{- /* The desk's settings, by variable. */}}
{{- define "sine-relay.desk.settings" -}}
{{- $v := .Values }}
{{- $d := .Values.desk }}
SINE_RELAY_DESK_LISTEN: ":8081"
SINE_RELAY_DESK_ADMIN_LISTEN: ":9091"
{{- if $d.tls.secretName }}
SINE_RELAY_DESK_TLS_CERT_FILE: /etc/sine-relay/tls/tls.crt
SINE_RELAY_DESK_TLS_KEY_FILE: /etc/sine-relay/tls/tls.key
{{- end }}
SINE_RELAY_DESK_URL: {{ $d.url | quote }}
{{- if $d.oidc.issuer }}
SINE_RELAY_DESK_OIDC_ISSUER: {{ $d.oidc.issuer | quote }}
SINE_RELAY_DESK_OIDC_CLIENT_ID: {{ $d.oidc.clientID | quote }}
SINE_RELAY_DESK_OIDC_CLIENT_SECRET_FILE: /etc/sine-relay/desk/client-secret
SINE_RELAY_DESK_OIDC_SCOPES: {{ $d.oidc.scopes | quote }}
SINE_RELAY_DESK_OIDC_NAME_CLAIM: {{ $d.oidc.nameClaim | quote }}
SINE_RELAY_DESK_OIDC_GROUPS_CLAIM: {{ $d.oidc.groupsClaim | quote }}
{{- end }}
SINE_RELAY_DESK_PROXY_USER_HEADER: {{ $d.proxy.userHeader | quote }}
SINE_RELAY_DESK_PROXY_GROUPS_HEADER: {{ $d.proxy.groupsHeader | quote }}
SINE_RELAY_DESK_TRUSTED_PROXIES: {{ join "," $d.trustedProxies | quote }}
SINE_RELAY_FORWARDED_HEADER: {{ $v.forwardedHeader | quote }}
SINE_RELAY_DESK_ROLES_FILE: /etc/sine-relay/roles/roles.yaml
{{- if $d.sessionKeys.secret.name }}
SINE_RELAY_DESK_SESSION_KEYS_FILE: /etc/sine-relay/desk/session-keys
{{- end }}
SINE_RELAY_DESK_SESSION_LIFETIME: {{ $d.sessionLifetime | quote }}
{{- if $d.nats.urlSecret.name }}
SINE_RELAY_NATS_URL_FILE: /etc/sine-relay/desk/url
{{- else if $v.nats.url }}
SINE_RELAY_NATS_URL: {{ $v.nats.url | quote }}
{{- else }}
SINE_RELAY_NATS_URL_FILE: /etc/sine-relay/nats-url/url
{{- end }}
{{- if $d.nats.credentials.secret.name }}
SINE_RELAY_NATS_CREDENTIALS_FILE: /etc/sine-relay/desk/nats.creds
{{- else if $d.nats.nkey.secret.name }}
SINE_RELAY_NATS_NKEY_FILE: /etc/sine-relay/desk/nkey.seed
{{- else if $d.nats.token.secret.name }}
SINE_RELAY_NATS_TOKEN_FILE: /etc/sine-relay/desk/token
{{- else if $d.nats.user }}
SINE_RELAY_NATS_USER: {{ $d.nats.user | quote }}
SINE_RELAY_NATS_PASSWORD_FILE: /etc/sine-relay/desk/password
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
SINE_RELAY_NATS_REPLICAS: {{ $v.streams.replicas | quote }}
SINE_RELAY_SUBJECT_PREFIX: {{ $v.subjectPrefix | quote }}
SINE_RELAY_STREAM_DEDUPE_WINDOW: {{ $v.streams.dedupeWindow | quote }}
SINE_RELAY_EVENT_STREAM: {{ $v.streams.events.name | quote }}
SINE_RELAY_DECISION_STREAM: {{ $v.streams.decisions.name | quote }}
SINE_RELAY_QUARANTINE_STREAM: {{ $v.streams.quarantine.name | quote }}
SINE_RELAY_ORDER_BUCKET: {{ $v.streams.orderBucket | quote }}
SINE_RELAY_OVERRIDE_MAX_DURATION: {{ $v.streams.overrideMaxDuration | quote }}
SINE_RELAY_DESK_STREAM: {{ $d.stream.name | quote }}
SINE_RELAY_DESK_STREAM_MAX_AGE: {{ $d.stream.maxAge | quote }}
SINE_RELAY_DESK_STREAM_MAX_BYTES: {{ $d.stream.maxBytes | quote }}
{{- if $d.try.url }}
SINE_RELAY_DESK_TRY_URL: {{ $d.try.url | quote }}
SINE_RELAY_DESK_TRY_KEYS_DIR: /etc/sine-relay/keys
{{- end }}
SINE_RELAY_LOG_LEVEL: {{ $v.log.level | quote }}
SINE_RELAY_LOG_FORMAT: {{ $v.log.format | quote }}
{{- with include "sine-relay.memoryLimit" (dict "Values" (dict "resources" $d.resources)) }}
GOMEMLIMIT: {{ . | quote }}
{{- end }}
{{- end }}

{{- /* env of the container. What desk.extraEnv names is taken from there alone. */}}
{{- define "sine-relay.desk.env" -}}
{{- $own := include "sine-relay.desk.settings" . | fromYaml }}
{{- range .Values.desk.extraEnv }}
{{- $_ := unset $own .name }}
{{- end }}
{{- range $name, $value := $own }}
{{- if $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- with .Values.desk.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Sources of the volume with the desk's secrets. */}}
{{- define "sine-relay.desk.secrets" -}}
{{- $d := .Values.desk }}
{{- $n := $d.nats }}
{{- range $path, $secret := dict "client-secret" $d.oidc.clientSecret.secret "session-keys" $d.sessionKeys.secret
  "url" $n.urlSecret "nats.creds" $n.credentials.secret "nkey.seed" $n.nkey.secret "token" $n.token.secret "password" $n.password.secret }}
{{- if $secret.name }}
- secret:
    name: {{ $secret.name | quote }}
    items: [{key: {{ $secret.key | quote }}, path: {{ $path }}}]
{{- end }}
{{- end }}
{{- end }}

{{- /* Volumes by their names, each a directory below /etc/sine-relay. */}}
{{- define "sine-relay.desk.volumes" -}}
{{- $d := .Values.desk }}
- name: roles
  configMap:
    name: {{ include "sine-relay.desk.fullname" . | quote }}
{{- with include "sine-relay.desk.secrets" . }}
- name: desk
  projected:
    defaultMode: 0440
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- range $name, $secret := dict "nats-tls" .Values.nats.tls.secret.name "tls" $d.tls.secretName "keys" $d.try.keysSecret }}
{{- with $secret }}
- name: {{ $name }}
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- if not (or .Values.nats.url $d.nats.urlSecret.name) }}
- name: nats-url
  secret:
    secretName: {{ .Values.nats.urlSecret.name | quote }}
    defaultMode: 0440
    items: [{key: {{ .Values.nats.urlSecret.key | quote }}, path: url}]
{{- end }}
{{- end }}
