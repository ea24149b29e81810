package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"
)

// mounted is where the relay finds its files in the pod.
const mounted = "/etc/sine-relay/"

// unpack returns the environment of a rendered relay, NAME=VALUE, with its files
// in dir. Those that are not among the objects are made up, but for certificates,
// which are left out.
func unpack(objects []object, dir string) (environment []string, err error) {
	workloads := only(objects, func(o object) bool { return o.isWorkload() && !o.isDesk() })
	if len(workloads) == 0 {
		return nil, errors.New("no workload")
	}
	if err := unpackFiles(objects, dir); err != nil {
		return nil, err
	}
	variables := workloads[0].Spec.Template.Spec.Containers[0].Env
	for _, w := range only(objects, func(o object) bool { return o.isWorkload() && o.isDesk() }) {
		for _, e := range w.Spec.Template.Spec.Containers[0].Env {
			if strings.HasPrefix(e.Name, "SINE_RELAY_DESK_") { // the others are of its own connection
				variables = append(variables, e)
			}
		}
	}
	for _, e := range variables {
		value, isFile := strings.CutPrefix(e.Value, mounted)
		if isFile {
			value = filepath.Join(dir, value)
		}
		if _, err := os.Stat(value); e.ValueFrom != nil || isFile && err != nil {
			continue
		}
		environment = append(environment, e.Name+"="+value)
	}
	return environment, nil
}

func unpackFiles(objects []object, dir string) error {
	const server, key = "nats://nats:4222", "0123456789abcdef"
	files := map[string]string{}
	for _, name := range []string{"url", "nats.creds", "nkey.seed", "token", "password"} {
		files["nats/"+name] = server
	}
	for name, content := range map[string]string{
		"client-secret": key, "session-keys": strings.Repeat(key, 2),
	} {
		files["desk/"+name] = content
	}
	files["roles/roles.yaml"] = dataOf(objects, "roles.yaml", "roles: []")
	text := dataOf(objects, "integrations.yaml", "integrations: [{name: default}]")
	files["integrations/integrations.yaml"] = text
	var content struct{ Integrations []struct{ Name string } }
	if err := yaml.Unmarshal([]byte(text), &content); err != nil {
		return fmt.Errorf("integrations: %w", err)
	}
	for _, i := range content.Integrations {
		files["keys/"+i.Name] = key + i.Name
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content+"\n"), 0o600)); err != nil {
			return err
		}
	}
	return nil
}

// dataOf is an entry of a ConfigMap, or what stands in for one that is not there.
func dataOf(objects []object, entry, otherwise string) string {
	for _, o := range objects {
		data, _ := o.content["data"].(map[string]any)
		if text, ok := data[entry].(string); ok {
			return text
		}
	}
	return otherwise
}
