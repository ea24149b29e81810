package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

func TestTheTableOfPermissionsIsTheConfigurations(t *testing.T) {
	t.Parallel()
	checkTable(t, "deploy/nats/README.md", "permissions", permissionsTable(t))
}

func permissionsTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| User | May | Subject | Why |\n|---|---|---|---|\n")
	for _, p := range permissions(t) {
		subject := "`" + p.subject + "`"
		if p.verb == "reply" {
			subject = ""
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", p.user, p.verb, subject, p.why)
	}
	return b.String()
}

// Lines that the tests cannot read would not be tested either.
func TestEveryPermissionIsALineOfItsOwn(t *testing.T) {
	t.Parallel()
	all := permissions(t)
	perUser := map[string]int{}
	for _, p := range all {
		perUser[p.user]++
	}
	loaded := 0
	for _, u := range loadedUsers(t) {
		p := u.Permissions
		if p == nil || p.Publish == nil || p.Subscribe == nil {
			t.Fatalf("%s is not confined", u.Username)
		}
		n := len(p.Publish.Allow) + len(p.Subscribe.Allow)
		if p.Response != nil {
			n++
		}
		if n != perUser[u.Username] {
			t.Errorf("%s has %d permissions, %d of them on lines of their own", u.Username, n, perUser[u.Username])
		}
		loaded++
	}
	if loaded != len(parts) || len(perUser) != len(parts) {
		t.Errorf("%d users are configured, %d listed, and %d have parts", loaded, len(perUser), len(parts))
	}
}

// What an account may reach at most is what its users may: each import is exported
// to it, and each of a user's subjects is imported.
func TestAnAccountReachesNothingThatNoUserNeeds(t *testing.T) {
	t.Parallel()
	reached := map[string]bool{}
	for _, u := range loadedUsers(t) {
		if u.Account.Name == "VISITORS" {
			continue // where the exports come from
		}
		block := regexp.MustCompile(`(?ms)^  ` + u.Account.Name + ` \{.*?^  \}`).FindString(accounts(t))
		for _, m := range imported.FindAllStringSubmatch(block, -1) {
			if !strings.Contains(accounts(t), fmt.Sprintf("{service: %q, accounts: [", m[1])) {
				t.Errorf("%s imports %s, which is not exported", u.Account.Name, m[1])
			}
			needed := slices.ContainsFunc(u.Permissions.Publish.Allow, func(subject string) bool { return within(m[1], subject) })
			reached[u.Account.Name+" "+m[1]] = reached[u.Account.Name+" "+m[1]] || needed
		}
		for _, subject := range u.Permissions.Publish.Allow {
			ours := slices.ContainsFunc(imported.FindAllStringSubmatch(block, -1), func(m []string) bool { return within(m[1], subject) })
			if !ours && !strings.HasPrefix(subject, "$SYS.REQ.USER.INFO") { // which NATS has in every account
				t.Errorf("%s may publish %s, which leads nowhere", u.Username, subject)
			}
		}
	}
	for what, needed := range reached {
		if !needed {
			t.Errorf("%s is imported, and no user may use it", what)
		}
	}
	if len(reached) == 0 {
		t.Error("nothing was compared")
	}
}

var imported = regexp.MustCompile(`\{service: \{account: VISITORS, subject: "([^"]+)"\}\}`)

// within reports whether a subject, perhaps with wildcards, lies within another.
func within(outer, inner string) bool {
	return server.SubjectsCollide(outer, inner) && len(strings.Split(inner, ".")) >= strings.Count(outer, ".")
}

// The relay finds nothing to complain about in what it would have made itself.
func TestTheStreamsAreThoseThatTheRelayMakes(t *testing.T) {
	t.Parallel()
	own, ours := natstest.Start(t), natstest.Start(t)
	runServe(t, "NATS_URL="+own.URL()).ready()
	makeStreams(t, ours.JetStream(), 1)
	made := streamFiles(t)
	eventually(t, "the relay has made as many", func() bool { return len(streamsOf(t, own.JetStream())) == len(made) })
	relays, files := streamsOf(t, own.JetStream()), streamsOf(t, ours.JetStream())
	for _, name := range slices.Sorted(maps.Keys(relays)) {
		if relays[name] != files[name] {
			t.Errorf("%s\nof the relay %s\nof the file  %s", name, relays[name], files[name])
		}
		if made[name].Name != name || made[name].Replicas != 3 {
			t.Errorf("%s.json makes %s with %d replicas", name, made[name].Name, made[name].Replicas)
		}
	}
}

// streamsOf are the configurations of all streams as JSON.
func streamsOf(t *testing.T, js jetstream.JetStream) map[string]string {
	t.Helper()
	all := map[string]string{}
	list := js.ListStreams(t.Context())
	for info := range list.Info() {
		text, err := json.Marshal(info.Config)
		if err != nil {
			t.Fatal(err)
		}
		all[info.Config.Name] = string(text)
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// The image is the version that the tests run.
func TestTheComposeFilesRunTheNATSThatIsTested(t *testing.T) {
	t.Parallel()
	for _, file := range []string{natsDir + "../compose.yaml", natsDir + "compose.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		images := regexp.MustCompile(`image: nats:(\S+)`).FindAllStringSubmatch(string(text), -1)
		if len(images) == 0 {
			t.Errorf("%s runs no NATS", file)
		}
		for _, image := range images {
			if image[1] != server.VERSION {
				t.Errorf("%s runs NATS %s, want %s", file, image[1], server.VERSION)
			}
		}
	}
}
