{{- define "ponder.name" -}}
{{- if contains "ponder" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-ponder" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "ponder.labels" -}}
app.kubernetes.io/name: ponder
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The labels by which pods are selected; the context is (list $ component). */}}
{{- define "ponder.selector" -}}
app.kubernetes.io/name: ponder
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "ponder.secret" -}}
{{- if .Values.trial.enabled }}{{ include "ponder.name" . }}-trial{{ else }}{{ required "Set existingSecret (or trial.enabled)." .Values.existingSecret }}{{ end }}
{{- end }}

{{- define "ponder.secretKeys" -}}
secret_key secret_key_fallbacks database_url redis_url openai_api_key email_url audit_keys metrics_token entra_client_secret oidc_client_secret otel_exporter_otlp_headers
{{- end }}

{{- define "ponder.hasVolume" -}}
{{- if not .Values.settings.STORAGE_URL }}true{{ end }}
{{- end }}

{{- define "ponder.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "ponder.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
{{- end }}

{{/* A container of the site's image. The context is (dict "root" $ "name" name "command" list "serves" bool). */}}
{{- define "ponder.container" -}}
{{- $values := .root.Values -}}
- name: {{ .name }}
  image: "{{ required "Set image.repository." $values.image.repository }}:{{ $values.image.tag }}"
  imagePullPolicy: {{ $values.image.pullPolicy }}
  {{- with .command }}
  command: {{ toJson . }}
  {{- end }}
  env:
    {{- range splitList " " (include "ponder.secretKeys" .root) }}
    - {name: {{ upper . }}_FILE, value: /run/secrets/ponder/{{ . }}}
    {{- end }}
    {{- range $values.modelKeys }}
    - {name: {{ . }}_FILE, value: /run/secrets/ponder/{{ lower . }}}
    {{- end }}
    {{- range $name, $value := $values.settings }}
    {{- /* `--set NAME=false` is a boolean, and numbers in files are floats: 1e+06 as strings. */}}
    {{- $text := kindIs "string" $value | ternary $value (toJson $value) }}
    {{- if not (has $text (list "" "null")) }}
    - {name: {{ $name }}, value: {{ $text | quote }}}
    {{- end }}
    {{- end }}
    {{- if include "ponder.hasVolume" .root }}
    - {name: STORAGE_URL, value: file:///app/files}
    {{- end }}
    - {name: DRAIN_SECONDS, value: {{ $values.drainSeconds | quote }}}
    {{- if and .serves $values.models }}
    - {name: MODELS_FILE, value: /etc/ponder/models.toml}
    {{- end }}
  {{- if .serves }}
  ports: [{name: http, containerPort: 8000}]
  startupProbe:
    httpGet: {path: /healthz, port: http}
    periodSeconds: 2
    failureThreshold: 60
  livenessProbe:
    httpGet: {path: /healthz, port: http}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  readinessProbe:
    httpGet: {path: /readyz, port: http}
    periodSeconds: 5
    timeoutSeconds: 5
  # It gets requests for a moment after it was told to end: it must not refuse them.
  lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
  {{- end }}
  resources: {{ toJson $values.resources }}
  securityContext:
    {{- include "ponder.containerSecurity" . | nindent 4 }}
    readOnlyRootFilesystem: true
  volumeMounts:
    - {name: secrets, mountPath: /run/secrets/ponder, readOnly: true}
    - {name: var, mountPath: /app/var}
    {{- if and .serves (include "ponder.hasVolume" .root) }}
    - {name: files, mountPath: /app/files}
    {{- end }}
    {{- if and .serves $values.models }}
    - {name: models, mountPath: /etc/ponder, readOnly: true}
    {{- end }}
{{- end }}

{{/* The volumes of such containers; the same context. */}}
{{- define "ponder.volumes" -}}
- name: secrets
  secret: {secretName: {{ include "ponder.secret" .root }}}
- name: var
  emptyDir: {sizeLimit: 1Gi}
{{- if and .serves (include "ponder.hasVolume" .root) }}
- name: files
  persistentVolumeClaim: {claimName: {{ .root.Values.volume.existingClaim | default (printf "%s-files" (include "ponder.name" .root)) }}}
{{- end }}
{{- if and .serves .root.Values.models }}
- name: models
  configMap: {name: {{ include "ponder.name" .root }}-models}
{{- end }}
{{- end }}

{{/* What all pods of the site have; the context is the chart's. */}}
{{- define "ponder.pod" -}}
serviceAccountName: {{ .Values.serviceAccountName }}
{{- if not .Values.workloadIdentity }}
automountServiceAccountToken: false
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - {name: {{ . }}}
  {{- end }}
{{- end }}
securityContext:
  {{- include "ponder.podSecurity" 10001 | nindent 2 }}
{{- end }}

{{- define "ponder.podLabels" -}}
{{ include "ponder.selector" . }}
{{- if (index . 0).Values.workloadIdentity }}
azure.workload.identity/use: "true"
{{- end }}
{{- end }}
