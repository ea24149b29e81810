package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Kubernetes puts these into the environment of every pod beside a Service whose
// name begins with sine-relay. Its …_PORT always holds a URL: without one, the
// name is an operator's.
var (
	serviceName = regexp.MustCompile(`^SINE_RELAY_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_ADDR|_PORT|_PROTO)?)$`)
	servicePort = regexp.MustCompile(`^SINE_RELAY_([A-Z0-9_]+_)?PORT=(tcp|udp|sctp)://`)
)

func isServiceLink(name, value string) bool {
	return serviceName.MatchString(name) || servicePort.MatchString(name+"="+value)
}

// known reports whether there is a variable of that name without the prefix.
func known(name string) bool { return slices.Contains(names(), name) }

// names lists all variables without the prefix.
func names() []string {
	var all []string
	for _, s := range settings {
		all = append(all, s.name)
		if s.secret {
			all = append(all, s.name+"_FILE")
		}
	}
	return all
}

func didYouMeanSetting(name string) string { return proposal(Prefix, nearest(name, names())) }

// DidYouMean proposes the nearest name, if one is near.
func DidYouMean(name string, known []string) string { return proposal("", nearest(name, known)) }

func proposal(prefix, name string) string {
	if name == "" {
		return ""
	}
	return "; did you mean " + prefix + name + "?"
}

// nearest takes a swapped pair of letters, which are two edits, for near, and
// never a name of which nothing is left.
func nearest(name string, known []string) string {
	best, distance := "", min(max(2, len(name)/3), len(name)-1)+1
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := editDistance(strings.ToLower(name), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// sortedKeys keeps messages in a stable order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
