package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const natsDir = "../../../../deploy/nats/"

// permission is a line of deploy/nats/accounts.conf.
type permission struct {
	user, verb, subject, why string
}

func (p permission) String() string { return fmt.Sprintf("%s, %s %s", p.user, p.verb, p.subject) }

var (
	userBlock  = regexp.MustCompile(`(?ms)^      \{\n        user: (\w+)\n.*?^      \}\n`)
	listBegin  = regexp.MustCompile(`^ +(publish|subscribe): \[$`)
	listed     = regexp.MustCompile(`^ +"([^"]+)" +# (.+)$`)
	repliesSet = regexp.MustCompile(`^ +(allow_responses): true +# (.+)$`)
)

// accounts is the text of the configuration.
func accounts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(natsDir + "accounts.conf")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// permissions are all lines that allow something, in their order.
func permissions(t *testing.T) []permission {
	t.Helper()
	var all []permission
	for _, block := range userBlock.FindAllStringSubmatch(accounts(t), -1) {
		verb := ""
		for line := range strings.Lines(block[0]) {
			line = strings.TrimSuffix(line, "\n")
			if begin := listBegin.FindStringSubmatch(line); begin != nil {
				verb = begin[1]
			}
			if p := listed.FindStringSubmatch(line); p != nil {
				all = append(all, permission{block[1], verb, p[1], p[2]})
			}
			if p := repliesSet.FindStringSubmatch(line); p != nil {
				all = append(all, permission{block[1], "reply", p[1], p[2]})
			}
		}
	}
	return all
}

// without is the name of a user who has all that another has but one permission.
func without(user string, i int) string { return fmt.Sprintf("%s_without_%d", user, i) }

// withLesserUsers adds, for each permission, a user who lacks that one.
func withLesserUsers(t *testing.T, text string, all []permission) string {
	t.Helper()
	return userBlock.ReplaceAllStringFunc(text, func(block string) string {
		user := userBlock.FindStringSubmatch(block)[1]
		lesser := block
		for i, p := range all {
			if p.user == user {
				lesser += deprived(t, block, p, without(user, i))
			}
		}
		return lesser
	})
}

// deprived is a user's block under another name, without one permission. An
// empty list would allow everything.
func deprived(t *testing.T, block string, p permission, name string) string {
	t.Helper()
	less := strings.Replace(block, fmt.Sprintf("%q", p.subject), `"nothing"`, 1)
	if p.verb == "reply" {
		may := `publish: ["nothing"]`
		if strings.Contains(block, "publish: [\n") {
			may = "" // what it may publish besides follows
		}
		less = strings.Replace(block, "allow_responses: true", may, 1)
	}
	if less == block {
		t.Fatalf("%s is not in its block", p)
	}
	return strings.Replace(less, "user: "+p.user+"\n", "user: "+name+"\n", 1)
}

// names reports whether a text names a subject that the permission allows, or the
// permission itself.
func (p permission) names(text string) bool {
	subject, _, _ := strings.Cut(p.subject, " ") // the rest is a queue group
	pattern := regexp.QuoteMeta(subject)
	pattern = strings.ReplaceAll(pattern, `\*`, `[^."\s]+`)
	pattern = strings.ReplaceAll(pattern, `>`, `\S+`)
	return regexp.MustCompile(`(^|[\s"\\])` + pattern + `($|[\s",;:)\\])`).MatchString(text)
}

// writeConf writes the configuration with another text of accounts.conf.
func writeConf(t *testing.T, accounts string) string {
	t.Helper()
	dir := t.TempDir()
	main, err := os.ReadFile(natsDir + "nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"nats.conf": string(main), "accounts.conf": accounts} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "nats.conf")
}
