package main

import (
	"os"
	"regexp"
	"strings"
)

// command is one that a page names.
type command struct {
	page   string
	line   int
	text   string
	inline bool // in a sentence, perhaps without its arguments
}

var (
	span    = regexp.MustCompile("`([^`]+)`")
	comment = regexp.MustCompile(`\s+#.*$`)
	// ours is what is run of a line: what stands before it is not.
	ours = regexp.MustCompile(`(?:^|: |-- )((?:[A-Z_]+=\S+ )*(?:nats|/?sine-relay) [a-z-].*|curl .*127\.0\.0\.1:8222.*|curl .*127\.0\.0\.1:8080/sine/.*)$`)
)

// template is what the notes of the chart say in a release with the accounts of
// deploy/nats, who then are to add the user.
var template = strings.NewReplacer(
	`--server {{ default "YOUR-NATS" .Values.nats.url }}`, `--server "$NATS_URL" --user admin --password "$ADMIN_PASSWORD"`,
	`{{ .Values.streams.events.name }}`, "VISITORS", `{{ $base }}`, "https://visitors.example.com",
)

// extract finds the commands in a page's code.
func extract(page string) (all []command, err error) {
	content, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	fence := ""
	add := func(line int, text string, inline bool) {
		if m := ours.FindStringSubmatch(strings.TrimSpace(comment.ReplaceAllString(text, ""))); m != nil {
			all = append(all, command{page, line + 1, m[1], inline})
		}
	}
	notes := strings.HasSuffix(page, ".txt")
	for n, line := range strings.Split(template.Replace(string(content)), "\n") {
		switch trimmed := strings.TrimSpace(line); {
		case fence == "" && strings.HasPrefix(trimmed, "```"):
			fence = trimmed
		case strings.HasPrefix(trimmed, "```"):
			fence = ""
		case fence == "```sh", notes && strings.HasPrefix(line, "  "):
			add(n, trimmed, false)
		case fence == "":
			for _, m := range span.FindAllStringSubmatch(line, -1) {
				add(n, m[1], true)
			}
		}
	}
	return all, nil
}
