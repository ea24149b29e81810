package main

import (
	"encoding/json"
	"fmt"
)

// object is a rendered object: what it says, and the parts of it that the rules
// look at, of whichever kind it is.
type object struct {
	content map[string]any

	Kind     string
	Metadata metadata
	Spec     struct {
		podSpec // of a Pod

		Selector    any // of labels, or of matchLabels
		PodSelector any
		Template    struct {
			Metadata metadata
			Spec     podSpec
		}
		VolumeClaimTemplates []struct{ Metadata metadata }
		ServiceName          string
		Replicas             *int
		Ports                []port
		ScaleTargetRef       struct{ Kind, Name string }
		Rules                []rule
		Endpoints            []struct{ Port string }
		PodMetricsEndpoints  []struct{ Port string }
	}
}

type metadata struct {
	Name, Namespace string
	Labels          map[string]string
}

type port struct {
	Name          string
	Port          int
	TargetPort    any
	ContainerPort int
}

// rule is one of an Ingress or of an HTTPRoute.
type rule struct {
	HTTP struct {
		Paths []struct {
			Backend struct {
				Service struct {
					Name string
					Port port
				}
			}
		}
	}
	BackendRefs []struct {
		Name string
		Port int
	}
}

type podSpec struct {
	SecurityContext securityContext
	InitContainers  []container
	Containers      []container
	Volumes         []map[string]any
}

type securityContext struct {
	RunAsNonRoot             bool
	SeccompProfile           struct{ Type string }
	AllowPrivilegeEscalation *bool
	ReadOnlyRootFilesystem   bool
	Capabilities             struct{ Add, Drop []string }
}

type container struct {
	Name string
	Env  []struct {
		Name      string
		Value     string
		ValueFrom map[string]any
	}
	EnvFrom         []map[string]any
	Ports           []port
	VolumeMounts    []struct{ Name, MountPath, SubPath string }
	SecurityContext securityContext
}

// newObject reads JSON's way, in which fields are found whatever their case.
func newObject(content map[string]any) (object, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return object{}, err
	}
	o := object{content: content}
	if err := json.Unmarshal(text, &o); err != nil {
		return object{}, fmt.Errorf("%v %v: %w", content["kind"], content["metadata"], err)
	}
	return o, nil
}

func (o object) String() string { return o.Kind + " " + o.Metadata.Name }

func (o object) isWorkload() bool { return o.Kind == "Deployment" || o.Kind == "StatefulSet" }

// pod returns the pod that an object is or makes, with its labels.
func (o object) pod() (labels map[string]string, spec podSpec, ok bool) {
	if o.isWorkload() {
		return o.Spec.Template.Metadata.Labels, o.Spec.Template.Spec, true
	}
	return o.Metadata.Labels, o.Spec.podSpec, o.Kind == "Pod"
}

func (p podSpec) all() []container {
	return append(append([]container{}, p.InitContainers...), p.Containers...)
}

func only(objects []object, wanted func(object) bool) (found []object) {
	for _, o := range objects {
		if wanted(o) {
			found = append(found, o)
		}
	}
	return found
}

func named(objects []object, kind, name string) (object, bool) {
	found := only(objects, func(o object) bool { return o.Kind == kind && o.Metadata.Name == name })
	if len(found) != 1 {
		return object{}, false
	}
	return found[0], true
}
