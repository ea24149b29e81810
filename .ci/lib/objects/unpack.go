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
	workloads := only(objects, object.isWorkload)
	if len(workloads) == 0 {
		return nil, errors.New("no workload")
	}
	if err := unpackFiles(objects, dir); err != nil {
		return nil, err
	}
	for _, e := range workloads[0].Spec.Template.Spec.Containers[0].Env {
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
	text := integrations(objects)
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

func integrations(objects []object) string {
	for _, o := range objects {
		data, _ := o.content["data"].(map[string]any)
		if text, ok := data["integrations.yaml"].(string); ok {
			return text
		}
	}
	return "integrations: [{name: default}]"
}
