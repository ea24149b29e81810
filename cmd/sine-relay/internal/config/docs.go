package config

import (
	"fmt"
	"strings"
)

// Docs is the table of settings, in Markdown.
func Docs() string {
	var b strings.Builder
	b.WriteString("| Variable | Meaning | Default |\n|---|---|---|\n")
	for _, s := range settings {
		name := "`" + Prefix + s.name + "`"
		if s.secret {
			name += " or `…_FILE`"
		}
		initial := s.initial
		if initial != "" {
			initial = "`" + initial + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, s.help, initial)
	}
	return b.String()
}
