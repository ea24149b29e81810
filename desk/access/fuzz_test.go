package access

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Whatever an address says, a browser stays at the desk: also one that reads a backslash
// as a slash, and passes over tabs and line breaks.
func FuzzBack(f *testing.F) {
	for _, seed := range []string{"/", "/live?site=hq", "//example.com", `/\example.com`, "/\t/example.com", "/./\\/example.com", "/%2f/example.com", "/..//example.com", "https:/example.com"} {
		f.Add(seed)
	}
	desk := &url.URL{Scheme: "https", Host: "desk.example.com", Path: "/sign-in"}
	f.Fuzz(func(t *testing.T, to string) {
		w := httptest.NewRecorder()
		http.Redirect(w, httptest.NewRequest(http.MethodGet, "/sign-in", nil), back(to), http.StatusSeeOther)
		location := w.Header().Get("Location")
		for _, read := range []string{location, strings.NewReplacer(`\`, "/", "\t", "", "\n", "", "\r", "").Replace(strings.TrimSpace(location))} {
			u, err := url.Parse(read)
			if err != nil {
				t.Fatalf("%q leads to %q: %v", to, location, err)
			}
			if at := desk.ResolveReference(u); at.Scheme != "https" || at.Host != "desk.example.com" || strings.HasPrefix(read, "//") {
				t.Errorf("%q leads to %q", to, location)
			}
		}
	})
}
