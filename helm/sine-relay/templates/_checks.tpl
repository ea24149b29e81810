{{- /* What values.schema.json cannot say. */}}
{{- define "sine-relay.check" -}}
{{- $v := .Values }}
{{- $name := include "sine-relay.fullname" . }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
{{- fail (printf "%s cannot be the name of a Service: set fullnameOverride to one of small letters, digits and dashes that begins with a letter" $name) }}
{{- end }}
{{- if not (or $v.nats.url $v.nats.urlSecret.name) }}
{{- fail "nats.url is not set: name the servers of your NATS, as in nats://nats.nats.svc:4222" }}
{{- end }}
{{- if and $v.nats.url $v.nats.urlSecret.name }}
{{- fail "nats.url and nats.urlSecret.name are both set: set one of them" }}
{{- end }}
{{- if contains "@" $v.nats.url }}
{{- fail "nats.url holds a user or a password: put it into a Secret, and name that with nats.urlSecret.name" }}
{{- end }}
{{- $ways := 0 }}
{{- range list $v.nats.credentials.secret.name $v.nats.nkey.secret.name $v.nats.token.secret.name $v.nats.user }}
{{- if . }}{{ $ways = add $ways 1 }}{{ end }}
{{- end }}
{{- if gt (int $ways) 1 }}
{{- fail "more than one of nats.credentials, nats.nkey, nats.token and nats.user is set: the relay signs in to NATS in one way" }}
{{- end }}
{{- if ne (empty $v.nats.user) (empty $v.nats.password.secret.name) }}
{{- fail "nats.user and nats.password.secret.name belong together" }}
{{- end }}
{{- if and $v.nats.tls.secret.name (ne (empty $v.nats.tls.secret.cert) (empty $v.nats.tls.secret.key)) }}
{{- fail "nats.tls.secret.cert and nats.tls.secret.key belong together" }}
{{- end }}
{{- if and $v.integrations.existingConfigMap.name $v.integrations.existingSecret.name }}
{{- fail "integrations.existingConfigMap.name and integrations.existingSecret.name are both set: set one of them" }}
{{- end }}
{{- if not (or $v.keys.existingSecret $v.keys.demo) }}
{{- fail "keys.existingSecret is not set: name a Secret with an API key for each integration, or set keys.demo=true to try things out" }}
{{- end }}
{{- if and $v.keys.existingSecret $v.keys.demo }}
{{- fail "keys.existingSecret and keys.demo are both set: set one of them" }}
{{- end }}
{{- if and $v.keys.demo (include "sine-relay.foreignIntegrations" .) }}
{{- fail "keys.demo makes keys for integrations.config, and the integrations are elsewhere: set keys.existingSecret" }}
{{- end }}
{{- if and $v.autoscaling.enabled $v.spool.enabled }}
{{- fail "autoscaling.enabled needs spool.enabled=false: visitors that wait in the spool of a replica that is scaled away would wait there until somebody drains it" }}
{{- end }}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) }}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas" }}
{{- end }}
{{- if and $v.autoscaling.enabled (not (or $v.autoscaling.targetCPUUtilizationPercentage $v.autoscaling.targetMemoryUtilizationPercentage)) }}
{{- fail "autoscaling.targetCPUUtilizationPercentage and autoscaling.targetMemoryUtilizationPercentage are both 0: scaling needs a measure" }}
{{- end }}
{{- if and $v.podMonitor.enabled $v.serviceMonitor.enabled }}
{{- fail "podMonitor.enabled and serviceMonitor.enabled are both set: everything would be counted twice" }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
{{- fail "ingress.hosts is empty: name the host that is typed into Sine" }}
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}
{{- fail "httpRoute.parentRefs is empty: name the gateway" }}
{{- end }}
{{- include "sine-relay.desk.check" . }}
{{- $names := list }}
{{- range $v.extraEnv }}
{{- if has .name $names }}
{{- fail (printf "extraEnv names %s twice" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- $s := $v.shutdown }}
{{- $needed := add (int $s.preStopSeconds) (int $s.drainSeconds) (int $s.flushSeconds) }}
{{- if ge (int $needed) (int $s.gracePeriodSeconds) }}
{{- fail (printf "shutdown.gracePeriodSeconds is %d, but ending may take %d: it must be more than preStopSeconds, drainSeconds and flushSeconds together, or visitors are cut off" (int $s.gracePeriodSeconds) (int $needed)) }}
{{- end }}
{{- end }}

{{- /* Not empty when the integrations file is not the chart's. */}}
{{- define "sine-relay.foreignIntegrations" -}}
{{- default .Values.integrations.existingSecret.name .Values.integrations.existingConfigMap.name }}
{{- end }}

{{- define "sine-relay.desk.check" -}}
{{- $d := .Values.desk }}
{{- if $d.enabled }}
{{- if not (or $d.oidc.issuer $d.proxy.userHeader) }}
{{- fail "desk.enabled needs a way to sign in: set desk.oidc for a provider of OpenID Connect, or desk.proxy for a proxy that signs people in" }}
{{- end }}
{{- if and $d.oidc.issuer $d.proxy.userHeader }}
{{- fail "desk.oidc.issuer and desk.proxy.userHeader are both set: set one of them" }}
{{- end }}
{{- if and $d.oidc.issuer (not (and $d.oidc.clientID $d.oidc.clientSecret.secret.name $d.url)) }}
{{- fail "desk.oidc.issuer needs desk.oidc.clientID, desk.oidc.clientSecret.secret.name and desk.url" }}
{{- end }}
{{- if and $d.proxy.userHeader (not (and $d.proxy.groupsHeader $d.trustedProxies)) }}
{{- fail "desk.proxy.userHeader needs desk.proxy.groupsHeader, and desk.trustedProxies: anybody could write these headers" }}
{{- end }}
{{- if not $d.roles }}
{{- fail "desk.roles is empty: nobody could use the desk" }}
{{- end }}
{{- if and (gt (int $d.replicaCount) 1) (not $d.sessionKeys.secret.name) }}
{{- fail "desk.replicaCount is more than 1 and desk.sessionKeys.secret.name is not set: one desk would not know the sessions of another" }}
{{- end }}
{{- if ne (empty $d.nats.user) (empty $d.nats.password.secret.name) }}
{{- fail "desk.nats.user and desk.nats.password.secret.name belong together" }}
{{- end }}
{{- $ways := 0 }}
{{- range list $d.nats.credentials.secret.name $d.nats.nkey.secret.name $d.nats.token.secret.name $d.nats.user }}
{{- if . }}{{ $ways = add $ways 1 }}{{ end }}
{{- end }}
{{- if gt (int $ways) 1 }}
{{- fail "more than one of desk.nats.credentials, desk.nats.nkey, desk.nats.token and desk.nats.user is set: the desk signs in to NATS in one way" }}
{{- end }}
{{- if ne (empty $d.try.url) (empty $d.try.keysSecret) }}
{{- fail "desk.try.url and desk.try.keysSecret belong together" }}
{{- end }}
{{- if and $d.ingress.enabled (not $d.ingress.hosts) }}
{{- fail "desk.ingress.hosts is empty: name the host of desk.url" }}
{{- end }}
{{- if and $d.httpRoute.enabled (not $d.httpRoute.parentRefs) }}
{{- fail "desk.httpRoute.parentRefs is empty: name the gateway" }}
{{- end }}
{{- end }}
{{- end }}
