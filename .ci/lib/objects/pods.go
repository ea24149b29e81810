package main

import (
	"fmt"
	"slices"
)

// podFaults are those that one pod has by itself.
func podFaults(o object) (faults []string) {
	_, spec, ok := o.pod()
	if !ok {
		return nil
	}
	for _, c := range spec.all() {
		for _, fault := range slices.Concat(environmentFaults(c), mountFaults(c, volumeNames(o, spec)), restrictedFaults(c, spec)) {
			faults = append(faults, "container "+c.Name+": "+fault)
		}
	}
	return append(faults, volumeFaults(spec)...)
}

// environmentFaults: of a name that is there twice, the last counts, and a server
// that merges changes may well take another.
func environmentFaults(c container) (faults []string) {
	seen := map[string]bool{}
	for _, e := range c.Env {
		if seen[e.Name] {
			faults = append(faults, e.Name+" is set twice")
		}
		seen[e.Name] = true
		if e.ValueFrom["secretKeyRef"] != nil {
			faults = append(faults, e.Name+" holds a secret")
		}
	}
	for _, from := range c.EnvFrom {
		if from["secretRef"] != nil {
			faults = append(faults, "takes a Secret for its environment")
		}
	}
	return faults
}

func mountFaults(c container, volumes []string) (faults []string) {
	seen := map[string]bool{}
	for _, m := range c.VolumeMounts {
		if !slices.Contains(volumes, m.Name) {
			faults = append(faults, "mounts "+m.Name+", which is no volume")
		}
		if seen[m.MountPath] {
			faults = append(faults, m.MountPath+" is mounted twice")
		}
		seen[m.MountPath] = true
		if m.SubPath != "" {
			faults = append(faults, m.MountPath+" is a subPath and will never change")
		}
	}
	return faults
}

func volumeNames(o object, spec podSpec) (names []string) {
	for _, claim := range o.Spec.VolumeClaimTemplates {
		names = append(names, claim.Metadata.Name)
	}
	for _, v := range spec.Volumes {
		names = append(names, fmt.Sprint(v["name"]))
	}
	return names
}

func volumeFaults(spec podSpec) (faults []string) {
	seen := map[any]bool{}
	for _, v := range spec.Volumes {
		name := v["name"]
		if seen[name] {
			faults = append(faults, fmt.Sprintf("volume %v is there twice", name))
		}
		seen[name] = true
		for kind := range v {
			if !slices.Contains([]string{"name", "configMap", "secret", "projected", "emptyDir", "persistentVolumeClaim"}, kind) {
				faults = append(faults, fmt.Sprintf("volume %v is a %s, which restricted pods may not have", name, kind))
			}
		}
	}
	return faults
}

// restrictedFaults are those by which the PodSecurity level restricted refuses a
// container.
func restrictedFaults(c container, spec podSpec) (faults []string) {
	own := c.SecurityContext
	for fault, there := range map[string]bool{
		"may run as root":        !own.RunAsNonRoot && !spec.SecurityContext.RunAsNonRoot,
		"has no seccomp profile": own.SeccompProfile.Type+spec.SecurityContext.SeccompProfile.Type == "",
		"may gain privileges":    own.AllowPrivilegeEscalation == nil || *own.AllowPrivilegeEscalation,
		"keeps capabilities":     !slices.Equal(own.Capabilities.Drop, []string{"ALL"}),
		"adds capabilities":      len(own.Capabilities.Add) > 0,
	} {
		if there {
			faults = append(faults, fault)
		}
	}
	slices.Sort(faults)
	return faults
}
