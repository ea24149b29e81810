package main

import (
	"slices"
	"strings"
)

// strict resolves references and refuses fields that are unknown. A definition
// within itself, as JSON schemas have it, is left open.
func (a openAPI) strict(schema any, within ...string) any {
	switch s := schema.(type) {
	case []any:
		all := []any{}
		for _, item := range s {
			all = append(all, a.strict(item, within...))
		}
		return all
	case object:
		if reference, ok := s["$ref"].(string); ok {
			return a.resolve(reference, within)
		}
		return a.strictObject(s, within)
	default:
		return schema
	}
}

func (a openAPI) resolve(reference string, within []string) any {
	name := strings.TrimPrefix(reference, "#/definitions/")
	switch {
	case slices.Contains(within, name):
		return object{}
	case strings.HasSuffix(name, ".util.intstr.IntOrString"):
		return object{"type": []string{"string", "integer"}}
	case strings.HasSuffix(name, ".api.resource.Quantity"):
		return object{"type": []string{"string", "number"}}
	}
	return a.strict(a.Definitions[name], append(slices.Clip(within), name)...)
}

func (a openAPI) strictObject(s object, within []string) object {
	out := object{}
	for key, value := range s {
		if key != "properties" && key != "description" && !strings.HasPrefix(key, "x-kubernetes-") {
			out[key] = a.strict(value, within...)
		}
	}
	properties, ok := s["properties"].(object)
	if !ok {
		return out
	}
	strict := object{}
	for name, property := range properties {
		strict[name] = a.strict(property, within...)
	}
	out["properties"] = strict
	if _, said := s["additionalProperties"]; !said && s["x-kubernetes-preserve-unknown-fields"] != true {
		out["additionalProperties"] = false
	}
	return out
}
