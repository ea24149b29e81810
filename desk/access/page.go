package access

import (
	"html/template"
	"net/http"
	"strings"
)

// Page is what somebody reads in place of a page of the desk. It contains no personal
// data, and nothing that a request said.
type Page struct {
	Status      int
	Title, Text string
	// Link is where to go on, with Label on it; both may be empty.
	Link, Label string
}

var plain = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{{.Title}} · Sine Relay</title>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
{{with .Link}}<p><a href="{{.}}">{{$.Label}}</a></p>{{end}}
</main>
</body>
</html>
`))

// show answers with a page where somebody navigates, and with its text alone where a
// script of the desk or a command asks.
func (a *Access) show(w http.ResponseWriter, r *http.Request, p Page) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// The address of a callback has a code in it, which no link passes on.
	h.Set("Referrer-Policy", "no-referrer")
	if h.Get("Content-Security-Policy") == "" {
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	}
	if !readsPages(r) {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(p.Status)
		_, _ = w.Write([]byte(p.Text + "\n"))
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(p.Status)
	if a.Render != nil {
		a.Render(w, r, p)
		return
	}
	_ = plain.Execute(w, p)
}

// readsPages reports whether a browser shows the answer to somebody.
func readsPages(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return mode == "navigate" || mode == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
}
