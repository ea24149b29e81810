{{- /* The pod of the Deployment and of the StatefulSet:
(dict "root" $ "spool" true "workload" "statefulset") */}}
{{- define "sine-relay.podTemplate" -}}
{{- $v := .root.Values }}
metadata:
  labels:
    {{- mergeOverwrite (deepCopy $v.commonLabels) $v.podLabels (include "sine-relay.selector" .root | fromYaml)
      (dict "sine-relay/workload" .workload "app.kubernetes.io/version" (.root.Chart.AppVersion | replace "+" "_")) | toYaml | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: sine-relay
    {{- with mergeOverwrite (deepCopy $v.commonAnnotations) $v.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "sine-relay.imagePullSecrets" .root | trim | nindent 2 }}
  serviceAccountName: {{ include "sine-relay.serviceAccount" .root | quote }}
  automountServiceAccountToken: {{ $v.serviceAccount.automountToken }}
  # The variables of a Service of that name look like settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int $v.shutdown.gracePeriodSeconds }}
  securityContext:
    {{- toYaml $v.podSecurityContext | nindent 4 }}
  {{- with $v.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: sine-relay
      image: {{ include "sine-relay.image" .root }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args:
        - serve
        {{- with $v.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      env:
        {{- include "sine-relay.env" . | trim | nindent 8 }}
      {{- with $v.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: {{ include "sine-relay.portName" .root }}
          containerPort: 8080
        - name: admin
          containerPort: 9090
      startupProbe:
        httpGet: {path: /livez, port: admin}
        {{- toYaml $v.startupProbe | nindent 8 }}
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        {{- toYaml $v.livenessProbe | nindent 8 }}
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        {{- toYaml $v.readinessProbe | nindent 8 }}
      {{- if $v.shutdown.preStopSeconds }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ int $v.shutdown.preStopSeconds }}
      {{- end }}
      resources:
        {{- toYaml $v.resources | nindent 8 }}
      securityContext:
        {{- toYaml $v.securityContext | nindent 8 }}
      volumeMounts:
        - name: data
          mountPath: /var/lib/sine-relay
        {{- include "sine-relay.configMounts" .root | trim | nindent 8 }}
        {{- with $v.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with $v.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- if not .spool }}
    - name: data
      emptyDir:
        sizeLimit: 16Mi
    {{- end }}
    {{- include "sine-relay.configVolumes" .root | trim | nindent 4 }}
    {{- with $v.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- include "sine-relay.scheduling" . | trim | nindent 2 }}
{{- end }}

{{- define "sine-relay.portName" -}}
{{- ternary "https" "http" (not (empty .Values.tls.secretName)) }}
{{- end }}

{{- /* Where a pod may run and which names it knows, for the pod of helm test, too. */}}
{{- define "sine-relay.placement" -}}
{{- $v := .Values }}
{{- range $field := list "priorityClassName" "runtimeClassName" "schedulerName" "dnsPolicy" }}
{{- with get $v $field }}
{{ $field }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "dnsConfig" "hostAliases" }}
{{- with get $v $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "sine-relay.scheduling" -}}
{{- $v := .root.Values }}
{{- include "sine-relay.placement" .root }}
{{- with $v.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- with $v.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "sine-relay.selector" $.root | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end }}

{{- /* Directories, not single files: a file that is mounted by subPath never
changes. */}}
{{- define "sine-relay.configMounts" -}}
- name: integrations
  mountPath: /etc/sine-relay/integrations
  readOnly: true
- name: keys
  mountPath: /etc/sine-relay/keys
  readOnly: true
{{- if include "sine-relay.natsSecrets" . }}
- name: nats
  mountPath: /etc/sine-relay/nats
  readOnly: true
{{- end }}
{{- if .Values.nats.tls.secret.name }}
- name: nats-tls
  mountPath: /etc/sine-relay/nats-tls
  readOnly: true
{{- end }}
{{- if .Values.tls.secretName }}
- name: tls
  mountPath: /etc/sine-relay/tls
  readOnly: true
{{- end }}
{{- end }}

{{- define "sine-relay.configVolumes" -}}
{{- $v := .Values }}
- name: integrations
  {{- with $v.integrations.existingSecret }}
  {{- if .name }}
  secret:
    secretName: {{ .name | quote }}
    defaultMode: 0440
    items: [{key: {{ .key | quote }}, path: integrations.yaml}]
  {{- else }}
  configMap:
    name: {{ default (printf "%s-integrations" (include "sine-relay.fullname" $)) $v.integrations.existingConfigMap.name | quote }}
    {{- if $v.integrations.existingConfigMap.name }}
    items: [{key: {{ $v.integrations.existingConfigMap.key | quote }}, path: integrations.yaml}]
    {{- end }}
  {{- end }}
  {{- end }}
- name: keys
  secret:
    secretName: {{ default (printf "%s-demo-keys" (include "sine-relay.fullname" .)) $v.keys.existingSecret | quote }}
    defaultMode: 0440
{{- with include "sine-relay.natsSecrets" . }}
- name: nats
  projected:
    defaultMode: 0440
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- with $v.nats.tls.secret.name }}
- name: nats-tls
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- with $v.tls.secretName }}
- name: tls
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{- /* Sources of the volume with what is needed to sign in to NATS. */}}
{{- define "sine-relay.natsSecrets" -}}
{{- $n := .Values.nats }}
{{- range $path, $secret := dict "url" $n.urlSecret "nats.creds" $n.credentials.secret "nkey.seed" $n.nkey.secret "token" $n.token.secret "password" $n.password.secret }}
{{- if $secret.name }}
- secret:
    name: {{ $secret.name | quote }}
    items: [{key: {{ $secret.key | quote }}, path: {{ $path }}}]
{{- end }}
{{- end }}
{{- end }}
