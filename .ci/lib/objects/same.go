package main

import (
	"fmt"
	"reflect"
)

// same returns what two renderings do not have in common. The values of Secrets
// are passed over: the only ones that a chart makes are random.
func same(a, b []object) (faults []string) {
	if len(a) != len(b) {
		faults = append(faults, fmt.Sprintf("%d objects here, %d there", len(a), len(b)))
	}
	for _, o := range a {
		switch other, ok := named(b, o.Kind, o.Metadata.Name); {
		case !ok:
			faults = append(faults, fmt.Sprintf("%s is here alone", o))
		case !reflect.DeepEqual(withoutSecrets(o), withoutSecrets(other)):
			faults = append(faults, fmt.Sprintf("%s differs", o))
		}
	}
	return faults
}

func withoutSecrets(o object) map[string]any {
	if data, ok := o.content["data"].(map[string]any); ok && o.Kind == "Secret" {
		for key := range data {
			data[key] = ""
		}
	}
	return o.content
}
