package main

import (
	"fmt"
	"regexp"
)

// sound returns what is wrong with objects that are installed together.
func sound(all []object) (faults []string) {
	seen := map[string]bool{}
	for _, o := range all {
		id := o.Kind + " " + o.Metadata.Namespace + "/" + o.Metadata.Name
		own := append(nameFaults(o), podFaults(o)...)
		if seen[id] {
			own = append(own, "is there twice")
		}
		seen[id] = true
		for _, fault := range append(own, linkFaults(o, all)...) {
			faults = append(faults, fmt.Sprintf("%s: %s", o, fault))
		}
	}
	return faults
}

// label is what Services must be named like; it is asked of all names.
var label = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

func nameFaults(o object) (faults []string) {
	if !label.MatchString(o.Metadata.Name) {
		faults = append(faults, "is no name for an object")
	}
	if o.Metadata.Namespace == "" {
		faults = append(faults, "has no namespace")
	}
	for key, value := range o.Metadata.Labels {
		if len(value) > 63 {
			faults = append(faults, "label "+key+" is too long")
		}
	}
	return faults
}

// linkFaults are those that an object has together with others.
func linkFaults(o object, all []object) []string {
	switch o.Kind {
	case "Deployment", "StatefulSet", "PodDisruptionBudget", "NetworkPolicy":
		return append(selectorFaults(o, all), controllerFaults(o, all)...)
	case "Service":
		return append(selectorFaults(o, all), serviceFaults(o, all)...)
	case "Ingress", "HTTPRoute":
		return routeFaults(o, all)
	case "PodMonitor":
		return append(selectorFaults(o, all), podMonitorFaults(o, all)...)
	case "ServiceMonitor":
		return serviceMonitorFaults(o, all)
	case "HorizontalPodAutoscaler":
		return autoscalerFaults(o, all)
	}
	return nil
}

func controllerFaults(o object, all []object) []string {
	if _, ok := named(all, "Service", o.Spec.ServiceName); o.Kind == "StatefulSet" && !ok {
		return []string{"its Service " + o.Spec.ServiceName + " is not there"}
	}
	return nil
}

func podMonitorFaults(o object, all []object) (faults []string) {
	for _, endpoint := range o.Spec.PodMetricsEndpoints {
		for _, w := range workloadsOf(o, all) {
			if _, ok := containerPort(w, endpoint.Port); !ok {
				faults = append(faults, fmt.Sprintf("scrapes port %s, which %s does not have", endpoint.Port, w))
			}
		}
	}
	return faults
}

// serviceMonitorFaults: two Services would have every pod scraped twice.
func serviceMonitorFaults(o object, all []object) (faults []string) {
	services := only(all, func(s object) bool { return s.Kind == "Service" && matches(o.podSelector(), s.Metadata.Labels) })
	if len(services) != 1 {
		return []string{fmt.Sprintf("selects %d Services", len(services))}
	}
	for _, endpoint := range o.Spec.Endpoints {
		if !(backend{port: endpoint.Port}).is(services[0].Spec.Ports[0]) {
			faults = append(faults, fmt.Sprintf("scrapes port %s, which %s does not have", endpoint.Port, services[0]))
		}
	}
	return faults
}

// autoscalerFaults: replicas in the workload would undo the scaling with every
// upgrade.
func autoscalerFaults(o object, all []object) []string {
	target, ok := named(all, o.Spec.ScaleTargetRef.Kind, o.Spec.ScaleTargetRef.Name)
	switch {
	case !ok:
		return []string{fmt.Sprintf("scales %s, which is not there", o.Spec.ScaleTargetRef.Name)}
	case target.Spec.Replicas != nil:
		return []string{fmt.Sprintf("scales %s, which has replicas of its own", target)}
	}
	return nil
}
