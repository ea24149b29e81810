// Schemas writes JSON schemas for kubeconform: of Kubernetes' own kinds, from its
// OpenAPI description, and of those that CustomResourceDefinitions define.
//
//	schemas DIR swagger.json [crd.yaml…]
//
// They are stricter than a server: a field that is unknown is refused, and so is
// one that is null, which a template writes when it meant to leave it out.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: schemas DIR swagger.json [crd.yaml…]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run(dir, swagger string, crds []string) error {
	content, err := os.ReadFile(swagger)
	if err != nil {
		return err
	}
	var api openAPI
	if err := json.Unmarshal(content, &api); err != nil {
		return fmt.Errorf("%s: %w", swagger, err)
	}
	for _, definition := range api.Definitions {
		if err := api.writeKinds(dir, definition); err != nil {
			return err
		}
	}
	for _, file := range crds {
		if err := api.writeCRD(dir, file); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

type openAPI struct {
	Definitions map[string]object
}

type object = map[string]any

// writeKinds writes a definition under each name that manifests know it by. What
// every group shares is no manifest.
func (a openAPI) writeKinds(dir string, definition object) error {
	names, _ := definition["x-kubernetes-group-version-kind"].([]any)
	if len(names) != 1 {
		return nil
	}
	name := names[0].(object)
	return write(dir, name["kind"].(string), name["group"].(string), name["version"].(string), a.strict(definition))
}

// crd is what is read of a CustomResourceDefinition.
type crd struct {
	Spec struct {
		Group    string
		Names    struct{ Kind string }
		Versions []struct {
			Name   string
			Schema struct {
				OpenAPIV3Schema object `yaml:"openAPIV3Schema"`
			}
		}
	}
}

func (a openAPI) writeCRD(dir, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var definition crd
	if err := yaml.Unmarshal(content, &definition); err != nil {
		return err
	}
	for _, version := range definition.Spec.Versions {
		schema := version.Schema.OpenAPIV3Schema
		properties, ok := schema["properties"].(object)
		if !ok {
			return fmt.Errorf("version %s has no schema", version.Name)
		}
		properties["metadata"] = object{"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
		if err := write(dir, definition.Spec.Names.Kind, definition.Spec.Group, version.Name, a.strict(schema)); err != nil {
			return err
		}
	}
	return nil
}

// write names the file as kubeconform looks for it: of the group it has the first
// part alone.
func write(dir, kind, group, version string, schema any) error {
	name := kind
	if group, _, _ := strings.Cut(group, "."); group != "" {
		name += "-" + group
	}
	content, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, strings.ToLower(name+"-"+version)+".json"), content, 0o644)
}
