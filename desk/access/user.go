package access

import (
	"context"
	"slices"

	"github.com/sine-relay/sine-relay/visit"
)

// Role is what somebody may do. Each includes the ones before it.
type Role string

const (
	// Viewer sees everything but names.
	Viewer Role = "viewer"
	// Reception may have names of visitors shown, one by one.
	Reception Role = "reception"
	// Operator may give standing orders, and try an integration that is marked for
	// tests.
	Operator Role = "operator"
)

// Roles are all roles, from the least on.
var Roles = []Role{Viewer, Reception, Operator}

// Grant is a role at sites: visit.AllSites for every one.
type Grant struct {
	Role  Role
	Sites []string
}

// User is somebody who uses the desk.
type User struct {
	// ID identifies the user for good, as in a record of what was done, and Name is
	// shown on the page.
	ID, Name string
	Grants   []Grant
}

// May reports whether a user has a role, or a higher one, at a site. For
// visit.AllSites it must have been granted for every site.
func (u User) May(r Role, site string) bool {
	return slices.ContainsFunc(u.Grants, func(g Grant) bool {
		return slices.Index(Roles, g.Role) >= slices.Index(Roles, r) && slices.Index(Roles, r) >= 0 &&
			(slices.Contains(g.Sites, visit.AllSites) || slices.Contains(g.Sites, site))
	})
}

// Anywhere reports whether a user has a role, or a higher one, at any site.
func (u User) Anywhere(r Role) bool {
	return slices.ContainsFunc(u.Grants, func(g Grant) bool {
		return len(g.Sites) > 0 && slices.Index(Roles, g.Role) >= slices.Index(Roles, r) && slices.Index(Roles, r) >= 0
	})
}

type userKey struct{}

// WithUser returns a context in which UserOf finds u.
func WithUser(ctx context.Context, u User) context.Context {
	return context.WithValue(ctx, userKey{}, u)
}

// UserOf is the user of a request that passed the middleware. Without one it is a user
// who may do nothing.
func UserOf(ctx context.Context) User {
	u, _ := ctx.Value(userKey{}).(User)
	return u
}
