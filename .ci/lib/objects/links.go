package main

import (
	"fmt"
	"slices"
	"strings"
)

// selectorFaults: whatever selects pods must select those of every workload of its
// program, none of another one, and never the pod of helm test, which would be sent
// visitors, or scraped.
func selectorFaults(o object, all []object) (faults []string) {
	for _, other := range all {
		labels, _, ok := other.pod()
		if !ok {
			continue
		}
		selects, wanted := matches(o.podSelector(), labels), other.isWorkload() && o.program() == other.program()
		if o.isWorkload() {
			wanted = o.String() == other.String()
		}
		switch {
		case selects && !wanted:
			faults = append(faults, fmt.Sprintf("selects the pods of %s", other))
		case wanted && !selects:
			faults = append(faults, fmt.Sprintf("does not select the pods of %s", other))
		}
	}
	return faults
}

// program tells the objects of several relays apart, and those of a desk beside one.
func (o object) program() string {
	name := o.Metadata.Labels["app.kubernetes.io/name"]
	if strings.HasPrefix(o.Metadata.Labels["app.kubernetes.io/component"], "desk") {
		name += " desk"
	}
	return name
}

// isDesk reports whether it is an object of a desk.
func (o object) isDesk() bool { return strings.HasSuffix(o.program(), " desk") }

// workloadsOf are those of the program that an object belongs to.
func workloadsOf(o object, all []object) []object {
	return only(all, func(w object) bool { return w.isWorkload() && w.program() == o.program() })
}

// podSelector returns the labels that pods are selected by.
func (o object) podSelector() map[string]any {
	selector := o.Spec.Selector
	if o.Kind == "NetworkPolicy" {
		selector = o.Spec.PodSelector
	}
	labels, _ := selector.(map[string]any)
	if inner, ok := labels["matchLabels"].(map[string]any); ok {
		return inner
	}
	return labels
}

// matches is false of a selector without labels: it would select everything.
func matches(selector map[string]any, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return len(selector) > 0
}

// serviceFaults: a Service's ports must lead somewhere.
func serviceFaults(o object, all []object) (faults []string) {
	for _, p := range o.Spec.Ports {
		for _, w := range workloadsOf(o, all) {
			if _, ok := containerPort(w, p.TargetPort); !ok {
				faults = append(faults, fmt.Sprintf("port %v leads to no port of %s", p.TargetPort, w))
			}
		}
	}
	return faults
}

func containerPort(workload object, name any) (number int, ok bool) {
	for _, c := range workload.Spec.Template.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == name {
				return p.ContainerPort, true
			}
		}
	}
	return 0, false
}

// publicPorts are those of the relay and of the desk.
var publicPorts = []int{8080, 8081}

// routeFaults: visitors are routed to the public port, and nothing to the other.
func routeFaults(o object, all []object) (faults []string) {
	for _, b := range backends(o) {
		service, ok := named(all, "Service", b.service)
		if !ok {
			faults = append(faults, fmt.Sprintf("leads to the Service %s, which is not there", b.service))
			continue
		}
		i := slices.IndexFunc(service.Spec.Ports, b.is)
		if i < 0 {
			faults = append(faults, fmt.Sprintf("leads to port %v of %s, which has none such", b.port, service))
			continue
		}
		for _, w := range workloadsOf(o, all) {
			if number, _ := containerPort(w, service.Spec.Ports[i].TargetPort); !slices.Contains(publicPorts, number) {
				faults = append(faults, fmt.Sprintf("leads to port %d of %s, which is not public", number, w))
			}
		}
	}
	return faults
}

type backend struct {
	service string
	port    any // a name or a number
}

func (b backend) is(p port) bool { return b.port == p.Name || b.port == p.Port }

func backends(o object) (all []backend) {
	for _, r := range o.Spec.Rules {
		for _, path := range r.HTTP.Paths {
			all = append(all, backend{path.Backend.Service.Name, path.Backend.Service.Port.Name})
		}
		for _, ref := range r.BackendRefs {
			all = append(all, backend{ref.Name, ref.Port})
		}
	}
	return all
}
