package access

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

var someSites = []string{"hq", "lab", "depot", visit.AllSites, ""}

// somebody has grants by chance, among them some that mean nothing.
func somebody(random *rand.Rand) (u User) {
	roles := append(slices.Clone(Roles), "", "owner")
	for range random.IntN(4) {
		g := Grant{Role: roles[random.IntN(len(roles))]}
		for range random.IntN(3) {
			g.Sites = append(g.Sites, someSites[random.IntN(len(someSites)-1)])
		}
		u.Grants = append(u.Grants, g)
	}
	return u
}

func TestUser_MayWhatIsGrantedAndNothingElse(t *testing.T) {
	for seed := range uint64(20_000) {
		u := somebody(rand.New(rand.NewPCG(seed, 17)))
		for i, role := range Roles {
			anywhere := false
			for _, site := range someSites {
				may := u.May(role, site)
				anywhere = anywhere || may
				if may && i > 0 && !u.May(Roles[i-1], site) {
					t.Fatalf("%+v may as %s at %q and not as %s", u, role, site, Roles[i-1])
				}
				if may && !slices.ContainsFunc(u.Grants, func(g Grant) bool {
					return slices.Contains(Roles[i:], g.Role) && (slices.Contains(g.Sites, site) || slices.Contains(g.Sites, visit.AllSites))
				}) {
					t.Fatalf("%+v may as %s at %q by no grant", u, role, site)
				}
				if u.May(role, visit.AllSites) && !may {
					t.Fatalf("%+v may as %s everywhere and not at %q", u, role, site)
				}
				more := User{Grants: append(slices.Clone(u.Grants), Grant{Role: Viewer, Sites: []string{"new"}})}
				if may != more.May(role, site) {
					t.Fatalf("%+v: a grant elsewhere changes what it may at %q", u, site)
				}
			}
			if u.Anywhere(role) != anywhere {
				t.Fatalf("%+v: Anywhere(%s) is %v", u, role, !anywhere)
			}
		}
		if u.May("owner", "hq") || u.May("", "hq") || u.Anywhere("owner") || u.Anywhere("") {
			t.Fatalf("%+v may what is not a role", u)
		}
	}
}

func TestUserOf_MayNothingWithoutTheMiddleware(t *testing.T) {
	u := UserOf(context.Background())
	if u.ID != "" || u.Anywhere(Viewer) || u.May(Viewer, "hq") || u.May(Viewer, "") {
		t.Errorf("%+v", u)
	}
}

func TestRoles_AreThoseOfTheGroups(t *testing.T) {
	r := newRoles(append(slices.Clone(atHQ), Mapping{Group: "ops", Role: Viewer, Sites: []string{"depot"}}))
	u := User{Grants: r.grants(r.prints([]string{"ops", "ops", "choir"}))}
	if len(u.Grants) != 2 || !u.May(Operator, "lab") || !u.May(Viewer, "depot") || u.May(Reception, "depot") {
		t.Errorf("%+v", u)
	}
	if p := r.prints([]string{"ops", "ops", "choir"}); len(p) != printSize {
		t.Errorf("a group is remembered in %d bytes", len(p))
	}
	if g := r.grants([]byte("too short")); g != nil {
		t.Errorf("%+v", g)
	}
}
