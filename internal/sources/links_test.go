package sources

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// pages returns the Markdown pages of the repository with their texts, by their paths.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "node_modules"}, d.Name()):
			return fs.SkipDir
		case !d.Type().IsRegular() || !strings.HasSuffix(path, ".md"):
			return nil
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var (
	fenced = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	code   = regexp.MustCompile("`[^`\n]*`")
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	own    = regexp.MustCompile(`https://github\.com/sine-relay/sine-relay/(?:blob|tree)/main/([\w./-]*\w)(#[\w-]+)?`)
	named  = regexp.MustCompile(`\b(?:docs|deploy)/[\w./-]+\.md\b`)
)

func TestLinks_PagesLinkToWhatExists(t *testing.T) {
	all := pages(t)
	if len(all) < 30 {
		t.Errorf("only %d pages were found", len(all))
	}
	for page, text := range all {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(fenced.ReplaceAllString(text, ""), ""), -1) {
			target, err := url.Parse(m[1])
			switch {
			case err != nil:
				t.Errorf("%s: %s is not a URL", page, m[1])
			case target.Scheme == "" && target.Path == "":
				checkTarget(t, all, page, page, target.Fragment)
			case target.Scheme == "":
				checkTarget(t, all, page, filepath.Join(filepath.Dir(page), target.Path), target.Fragment)
			}
		}
	}
}

// Alerts, the chart, comments and pages name pages of the repository by their URLs and
// paths. The chart's stand-in alerts have runbooks that do not exist.
func TestLinks_FilesNamePagesThatExist(t *testing.T) {
	all, found := pages(t), 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "node_modules", "stand-in"}, d.Name()):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range own.FindAllStringSubmatch(string(text), -1) {
			checkTarget(t, all, path, m[1], strings.TrimPrefix(m[2], "#"))
			found++
		}
		for _, page := range named.FindAllString(own.ReplaceAllString(string(text), ""), -1) {
			checkTarget(t, all, path, page, "")
			found++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 100 {
		t.Errorf("only %d pages are named", found)
	}
}

// checkTarget reports a file that does not exist, or a heading that its page lacks.
func checkTarget(t *testing.T, all map[string]string, from, file, anchor string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, file)); err != nil {
		t.Errorf("%s links to %s, which does not exist", from, file)
		return
	}
	if anchor != "" && !slices.Contains(anchors(all[file]), anchor) {
		t.Errorf("%s links to %s#%s, which has the headings %v", from, file, anchor, anchors(all[file]))
	}
}

var (
	heading = regexp.MustCompile(`(?m)^#+ +(.+?) *$`)
	linked  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are those that GitHub gives to the headings of a page. No page has two
// headings of one name that are linked to.
func anchors(page string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		text := dropped.ReplaceAllString(strings.ToLower(linked.ReplaceAllString(m[1], "$1")), "")
		all = append(all, strings.ReplaceAll(text, " ", "-"))
	}
	return all
}
