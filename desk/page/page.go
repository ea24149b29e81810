// Package page shows the pages: what they have in common, their templates, style and
// script, all within the program. It puts nothing into a page that html/template has not
// escaped, and sends with each answer the headers that keep a browser from running,
// storing or embedding anything else.
package page

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/visit"
)

//go:embed templates static
var files embed.FS

// Base is what every page has.
type Base struct {
	Title string
	// Active is the path of the page among Pages.
	Active string
	Pages  []Link
	// Events is where the page gets what has changed, and Refresh after how many
	// seconds it is loaded again where there is no script.
	Events  string
	Refresh int
	// User is the name of who is looking, and SignOut whether that can end.
	User    string
	SignOut bool
	// Gaps are what is not known at the moment.
	Gaps []doors.Gap
	Now  time.Time
	// Zone is that of the user's sites where they have one in common.
	Zone    *time.Location
	Version string
	// Data is the page's own.
	Data any
}

// Link leads to a page.
type Link struct{ Path, Name string }

// Message is the data of a page that says one thing.
type Message struct{ Text, Next, NextText string }

// names are the pages, each a file of templates.
var names = []string{"message", "doors", "live", "visit", "decisions", "orders", "confirm", "given", "quarantine", "audit", "try"}

// Pages are the templates, ready to be filled.
type Pages map[string]*template.Template

// Load reads the templates.
func Load() (Pages, error) {
	common, err := template.New("").Funcs(functions).ParseFS(files, "templates/layout.html")
	if err != nil {
		return nil, fmt.Errorf("read the templates of the desk: %w", err)
	}
	all := Pages{}
	for _, name := range names {
		t, err := template.Must(common.Clone()).ParseFS(files, "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("read the template %s of the desk: %w", name, err)
		}
		all[name] = t
	}
	return all, nil
}

// Write answers with a page. It is complete or not written at all: then the error is one
// of the template.
func (p Pages) Write(w http.ResponseWriter, status int, name string, b Base) error {
	var text bytes.Buffer
	if err := p[name].ExecuteTemplate(&text, "layout", b); err != nil {
		return fmt.Errorf("fill the page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(text.Bytes()) // whoever is gone does not read it
	return nil
}

// Part fills a part of a page.
func (p Pages) Part(name, part string, data any) (string, error) {
	var text bytes.Buffer
	if err := p[name].ExecuteTemplate(&text, part, data); err != nil {
		return "", fmt.Errorf("fill %s of the page %s: %w", part, name, err)
	}
	return text.String(), nil
}

// Static serves style, script and icon.
func Static() http.Handler {
	within, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	serve := http.StripPrefix("/static/", http.FileServerFS(within))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") { // the folder would be listed
			http.NotFound(w, r)
			return
		}
		serve.ServeHTTP(w, r)
	})
}

var functions = template.FuncMap{
	"clock": clock,
	"ms":    milliseconds,
	"plural": func(n int, noun string) string {
		if n != 1 {
			noun += "s"
		}
		return fmt.Sprintf("%d %s", n, noun)
	},
	"iso":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"unix": func(t time.Time) int64 { return t.Unix() },
	"kind": func(k visit.Kind) string {
		return map[visit.Kind]string{visit.KindCheckInRequest: "check-in requests", visit.KindCheckedIn: "check-ins", visit.KindCheckedOut: "check-outs"}[k]
	},
	"cause": func(c visit.Cause) string {
		words := map[visit.Cause]string{
			visit.CauseCheckedOut: "checked out", visit.CauseExpired: "the pass expired: the visitor may still be inside",
			visit.CauseLeftArea: "left the area of the site",
		}[c]
		if words == "" {
			return "why is not known: the visitor may still be inside"
		}
		return words
	},
	// clean leaves out what would change how the text around it is read.
	"clean": visit.CleanText,
	"join":  func(all []string) string { return strings.Join(all, ", ") },
	"inc":   func(n int) int { return n + 1 },
	"tone":  tone,
	"titled": func(f doors.Finding) string {
		if strings.HasPrefix(f.Text, f.State.Title()) {
			return f.Text
		}
		return f.State.Title() + ": " + f.Text
	},
	"mark": func(s doors.State) string {
		return map[string]string{"good": "✓", "warn": "!", "bad": "✕", "dim": "?"}[tone(s)]
	},
	"json": func(v any) (string, error) { text, err := json.Marshal(v); return string(text), err },
	"situation": func(s string) string {
		if words := doors.Situations[s]; words != "" {
			return words
		}
		return s
	},
	"sites": func(site string) string {
		if site == visit.AllSites || site == "" {
			return "all sites"
		}
		return site
	},
}

// clock writes a time in a zone, in UTC where there is none.
func clock(t, now time.Time, zone *time.Location) string {
	if zone == nil {
		zone = time.UTC
	}
	return doors.Clock(t, now, zone)
}

func milliseconds(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1000)
	default:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
}

// tone is how serious a state is: its colour, which never stands alone.
func tone(s doors.State) string {
	switch s {
	case doors.Answering:
		return "good"
	case doors.LockedDown, doors.OnFallback, doors.NoDecider, doors.NoRelay, doors.Invalid:
		return "bad"
	case doors.Unknown, doors.NeverUsed, doors.NotSeen, doors.Silent:
		return "dim"
	default:
		return "warn"
	}
}
