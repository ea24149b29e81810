package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// pod is that of all three in the example.
const pod = `{
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}},
  containers: [{
    name: relay, env: [{name: ONE, value: a}, {name: TWO, value: b}],
    ports: [{name: http, containerPort: 8080}, {name: admin, containerPort: 9090}],
    volumeMounts: [{name: keys, mountPath: /keys}, {name: more, mountPath: /more}],
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}],
  volumes: [{name: keys, secret: {secretName: keys}}, {name: more, emptyDir: {}}]}`

func TestObjects_SoundOnesHaveNoProblems(t *testing.T) {
	if faults := sound(parse(t, example(t, "", ""))); len(faults) > 0 {
		t.Error(faults)
	}
}

// Each row spoils one thing in the example.
func TestObjects_EveryUnsoundOneIsReported(t *testing.T) {
	for _, c := range []struct{ name, old, spoiled, want string }{
		{"a name twice", "name: door-admin, namespace: lobby", "name: door, namespace: lobby", "Service door: is there twice"},
		{"a name that is too long", "name: door-test", "name: " + strings.Repeat("x", 64), "is no name for an object"},
		{"a name that ends in a dash", "name: door-test", "name: door-", "Pod door-: is no name for an object"},
		{"no namespace", "name: door-test, namespace: lobby", "name: door-test", "Pod door-test: has no namespace"},
		{"a label that is too long", "part: public", "part: " + strings.Repeat("x", 64), "Service door: label part is too long"},
		{"a variable twice", "name: TWO", "name: ONE", "Deployment door: container relay: ONE is set twice"},
		{"a secret in the environment", "name: TWO, value: b", "name: TWO, valueFrom: {secretKeyRef: {name: s}}", "Pod door-test: container relay: TWO holds a secret"},
		{"a whole Secret in the environment", "env: [", "envFrom: [{secretRef: {name: s}}], env: [", "container relay: takes a Secret for its environment"},
		{"a mount without a volume", "{name: more, emptyDir: {}}", "{name: other, emptyDir: {}}", "container relay: mounts more, which is no volume"},
		{"a path mounted twice", "mountPath: /more", "mountPath: /keys", "container relay: /keys is mounted twice"},
		{"a secret that never changes", "mountPath: /keys", "mountPath: /keys, subPath: key", "/keys is a subPath and will never change"},
		{"a volume twice", "{name: more, emptyDir: {}}", "{name: keys, emptyDir: {}}", "volume keys is there twice"},
		{"a folder of the node", "emptyDir: {}", "hostPath: {path: /}", "volume more is a hostPath"},
		{"a pod that may be root", "runAsNonRoot: true, ", "", "container relay: may run as root"},
		{"no seccomp profile", "seccompProfile: {type: RuntimeDefault}", "fsGroup: 1", "container relay: has no seccomp profile"},
		{"privileges to be had", "allowPrivilegeEscalation: false, ", "", "container relay: may gain privileges"},
		{"capabilities kept", "drop: [ALL]", "drop: [KILL]", "container relay: keeps capabilities"},
		{"capabilities added", "drop: [ALL]", "drop: [ALL], add: [KILL]", "container relay: adds capabilities"},
		{"a Service that selects the test", "selector: {app: door, part: relay}", "selector: {app: door}", "Service door: selects the pods of Pod door-test"},
		{"a Service that selects nothing", "selector: {app: door, part: relay}", "selector: {app: doors}", "Service door: does not select the pods of Deployment door"},
		{"workloads that share pods", "{matchLabels: {app: door, part: relay, work: deployment}}", "{matchLabels: {app: door, part: relay}}", "Deployment door: selects the pods of StatefulSet door"},
		{"a budget for one workload", "spec: {selector: {matchLabels: {app: door, part: relay}}}", "spec: {selector: {matchLabels: {work: deployment}}}", "PodDisruptionBudget door-budget: does not select the pods of StatefulSet door"},
		{"a policy for everything", "podSelector: {matchLabels: {app: door, part: relay}}", "podSelector: {matchLabels: {app: door}}", "NetworkPolicy door-policy: selects the pods of Pod door-test"},
		{"a Service's port that leads nowhere", "targetPort: http}", "targetPort: https}", "Service door: port https leads to no port of Deployment door"},
		{"a route to a Service that is not there", "{name: door, port: 80}", "{name: doors, port: 80}", "HTTPRoute door: leads to the Service doors, which is not there"},
		{"a route to a port that is not there", "{name: door, port: 80}", "{name: door, port: 81}", "HTTPRoute door: leads to port 81"},
		{"an Ingress to the admin port", "{name: door, port: {name: http}}", "{name: door-admin, port: {name: admin}}", "Ingress door: leads to port 9090 of Deployment door, which is not public"},
		{"a public Service with the admin port", "targetPort: http}", "targetPort: admin}", "HTTPRoute door: leads to port 9090 of StatefulSet door, which is not public"},
		{"a StatefulSet without its Service", "serviceName: door-admin", "serviceName: doors", "StatefulSet door: its Service doors is not there"},
		{"a monitor of a port that is not there", "podMetricsEndpoints: [{port: admin}]", "podMetricsEndpoints: [{port: metrics}]", "PodMonitor door-pods: scrapes port metrics, which Deployment door does not have"},
		{"a monitor of no pods", "selector: {matchLabels: {app: door, part: relay}}\n  podMetrics", "selector: {matchLabels: {app: doors}}\n  podMetrics", "PodMonitor door-pods: does not select the pods"},
		{"a monitor of both Services", "{matchLabels: {app: door, part: admin}}", "{matchLabels: {app: door}}", "ServiceMonitor door: selects 2 Services"},
		{"a monitor of another port", "  endpoints: [{port: admin}]", "  endpoints: [{port: http}]", "ServiceMonitor door: scrapes port http"},
		{"a scaled workload with replicas", "metadata: {name: door, namespace: lobby}\nspec:\n  selector", "metadata: {name: door, namespace: lobby}\nspec:\n  replicas: 2\n  selector", "HorizontalPodAutoscaler door: scales Deployment door, which has replicas of its own"},
		{"scaling of what is not there", "{kind: Deployment, name: door}", "{kind: Deployment, name: doors}", "HorizontalPodAutoscaler door: scales doors, which is not there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			faults := sound(parse(t, example(t, c.old, c.spoiled)))
			if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, c.want) }) {
				t.Errorf("%q is missing in %q", c.want, faults)
			}
		})
	}
}

func TestSame_IgnoresOrderAndRandomSecrets(t *testing.T) {
	const secret = "kind: Secret\nmetadata: {name: s}\ndata: {key: random}\n"
	for _, c := range []struct{ name, a, b, want string }{
		{"in another order", "kind: A\n---\nkind: B\n", "kind: B\n---\nkind: A\n", ""},
		{"other random values", secret, strings.Replace(secret, "random", "other", 1), ""},
		{"another key", secret, strings.Replace(secret, "key", "other", 1), "Secret s differs"},
		{"another object", "kind: A\n", "kind: B\n", "A  is here alone"},
		{"one more object", "kind: A\n", "kind: A\n---\nkind: B\n", "1 objects here, 2 there"},
		{"another value", "kind: A\nspec: {size: 1}\n", "kind: A\nspec: {size: 2}\n", "A  differs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(same(parse(t, c.a), parse(t, c.b)), "; "); got != c.want {
				t.Errorf("%q and not %q", got, c.want)
			}
		})
	}
}

// example returns the objects with the first of what is old replaced.
func example(t *testing.T, old, replacement string) string {
	t.Helper()
	content, err := os.ReadFile("testdata/sound.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content)+pod, old) {
		t.Fatalf("the example has no %q", old)
	}
	objects := strings.Replace(string(content), old, replacement, 1)
	return strings.ReplaceAll(objects, "POD", strings.Replace(pod, old, replacement, 1))
}

func parse(t *testing.T, text string) []object {
	t.Helper()
	objects, err := decode(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestCarry_ReportsAlertsAndDashboardsThatDiffer(t *testing.T) {
	const (
		alerts    = "groups: [{name: a, rules: [{alert: Down}]}]\n"
		dashboard = `{"title": "{{integration}}"}`
		rule      = "kind: PrometheusRule\nmetadata: {name: r}\nspec: " + `{groups: [{name: a, rules: [{alert: Down}]}]}` + "\n"
		panel     = "kind: ConfigMap\nmetadata: {name: d}\ndata:\n  sine-relay.json: |\n    {\"title\": \"{{integration}}\"}\n"
	)
	for _, c := range []struct{ name, objects, want string }{
		{"both as they are", rule + "---\n" + panel, ""},
		{"an alert under another name", strings.Replace(rule, "Down", "Up", 1) + "---\n" + panel, "PrometheusRule r does not have the alerts of the file"},
		{"another title", rule + "---\n" + strings.Replace(panel, "{{integration}}", "", 1), "ConfigMap d does not have the dashboard of the file"},
		{"a dashboard that is no JSON", rule + "---\n" + strings.Replace(panel, "{\"", "", 1), "ConfigMap d does not have the dashboard of the file"},
		{"no rule", panel, "the alerts are not there"},
		{"no dashboard", rule, "the dashboard is not there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			faults, err := carry(parse(t, c.objects), []byte(alerts), []byte(dashboard))
			if got := strings.Join(faults, "; "); err != nil || got != c.want {
				t.Errorf("%q and not %q, %v", got, c.want, err)
			}
		})
	}
}

// A desk beside a relay is another program: what selects the one must not select the other.
func TestObjects_DeskIsAProgramOfItsOwn(t *testing.T) {
	const both = `kind: Deployment
metadata: {name: relay, namespace: n, labels: {app.kubernetes.io/name: r, app.kubernetes.io/component: relay}}
spec: {selector: {matchLabels: {part: relay}}, template: {metadata: {labels: {part: relay}}, spec: {containers: [{ports: [{name: http, containerPort: 8080}]}]}}}
---
kind: Deployment
metadata: {name: desk, namespace: n, labels: {app.kubernetes.io/name: r, app.kubernetes.io/component: desk}}
spec: {selector: {matchLabels: {part: desk}}, template: {metadata: {labels: {part: desk}}, spec: {containers: [{ports: [{name: pages, containerPort: 8081}]}]}}}
---
kind: Service
metadata: {name: desk, namespace: n, labels: {app.kubernetes.io/name: r, app.kubernetes.io/component: desk}}
spec: {selector: {part: SELECTED}, ports: [{name: pages, port: 80, targetPort: pages}]}
`
	for selected, want := range map[string]string{"desk": "", "relay": "selects the pods of Deployment relay; does not select the pods of Deployment desk"} {
		objects := parse(t, strings.Replace(both, "SELECTED", selected, 1))
		if got := strings.Join(append(selectorFaults(objects[2], objects), serviceFaults(objects[2], objects)...), "; "); got != want {
			t.Errorf("%s: %q, want %q", selected, got, want)
		}
	}
}

func TestUnpack_WritesFilesAndReturnsTheEnvironment(t *testing.T) {
	const relay = `kind: Deployment
spec: {template: {spec: {containers: [{name: relay, env: [
  {name: PLAIN, value: "a b"}, {name: NODE, valueFrom: {fieldRef: {fieldPath: x}}},
  {name: FILE, value: /etc/sine-relay/integrations/integrations.yaml},
  {name: CERTIFICATE, value: /etc/sine-relay/tls/tls.crt}]}]}}}
`
	const file = "kind: ConfigMap\ndata: {integrations.yaml: \"integrations: [{name: hq}]\"}\n"
	for _, c := range []struct{ name, objects, integration string }{
		{"integrations of the chart", relay + "---\n" + file, "hq"},
		{"integrations from elsewhere", relay, "default"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			environment, err := unpack(parse(t, c.objects), dir)
			want := []string{"PLAIN=a b", "FILE=" + dir + "/integrations/integrations.yaml"}
			if err != nil || !slices.Equal(environment, want) {
				t.Errorf("%q and not %q, %v", environment, want, err)
			}
			content, err := os.ReadFile(dir + "/integrations/integrations.yaml")
			if err != nil || !strings.Contains(string(content), c.integration) {
				t.Errorf("%q does not name %s, %v", content, c.integration, err)
			}
			if _, err := os.Stat(dir + "/keys/" + c.integration); err != nil {
				t.Error(err)
			}
		})
	}
}
