package access

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/sine-relay/sine-relay/visit"
)

// Local is everybody where the desk listens on loopback alone.
var Local = User{ID: "local", Name: "this computer", Grants: []Grant{{Role: Operator, Sites: []string{visit.AllSites}}}}

// roles are what groups stand for.
type roles []mapped

type mapped struct {
	Mapping
	print []byte
}

// printSize is how much of a group's hash is kept. A session has so much for each group
// and not its name: names may be long, and a browser keeps no more than 4 KiB.
const printSize = 16

func newRoles(mappings []Mapping) roles {
	var all roles
	for _, m := range mappings {
		hash := sha256.Sum256([]byte(m.Group))
		all = append(all, mapped{m, hash[:printSize]})
	}
	return all
}

// prints returns what a session remembers of somebody's groups: those that stand for
// something. It is empty for somebody who may do nothing.
func (r roles) prints(groups []string) (prints []byte) {
	for _, m := range r {
		if slices.Contains(groups, m.Group) && !contains(prints, m.print) {
			prints = append(prints, m.print...)
		}
	}
	return prints
}

// grants are what groups stand for now. So a changed mapping holds for sessions that
// were begun before.
func (r roles) grants(prints []byte) (grants []Grant) {
	for _, m := range r {
		if contains(prints, m.print) {
			grants = append(grants, Grant{Role: m.Role, Sites: m.Sites})
		}
	}
	return grants
}

func contains(prints, print []byte) bool {
	for p := range slices.Chunk(prints, printSize) {
		if bytes.Equal(p, print) {
			return true
		}
	}
	return false
}
