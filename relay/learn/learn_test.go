package learn

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// builtinKinds are some of the names that a relay knows.
func builtinKinds(event string) visit.Kind {
	return map[string]visit.Kind{
		"signinbefore": visit.KindCheckInRequest, "checkinrequest": visit.KindCheckInRequest, "signinafter": visit.KindCheckedIn,
		"checkinsuccess": visit.KindCheckedIn, "signoutafter": visit.KindCheckedOut, "checkoutsuccess": visit.KindCheckedOut,
	}[fields.Spelling(event)]
}

func options() Options {
	return Options{Fields: fields.Default, KindOf: builtinKinds, Zone: time.UTC, MaxDepth: 32}
}

func tenants(t *testing.T) map[string][]Body {
	t.Helper()
	files, err := filepath.Glob("../testdata/tenants/*/*.json")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d bodies of tenants: %v", len(files), err)
	}
	all := map[string][]Body{}
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "golden") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tenant := filepath.Base(filepath.Dir(file))
		all[tenant] = append(all[tenant], Body{Text: text})
	}
	return all
}

// text shows a report, for golden files.
func (r *Report) text() string {
	var b strings.Builder
	for _, f := range r.Fields {
		fmt.Fprintf(&b, "%-18s %-9s %d/%d  %s  (%s)  %s\n", f.Field, f.State, f.In, r.Bodies, strings.Join(f.Places, " "), f.Basis, strings.Join(f.Looks, " or "))
	}
	for _, k := range r.Kinds {
		fmt.Fprintf(&b, "kind %q = %q (%s)\n", k.Word, k.Means, k.Basis)
	}
	for _, c := range r.Causes {
		fmt.Fprintf(&b, "cause %q = %q (%s)\n", c.Word, c.Means, c.Basis)
	}
	fmt.Fprintf(&b, "labels %q %q dates %q %v\n", r.Spec.Labels, r.Spec.Values, r.Spec.DateFormats, r.Spec.DateZone)
	for _, q := range r.Questions {
		fmt.Fprintf(&b, "? %s\n", q)
	}
	return b.String()
}

func TestAnalyse_OfEachTenantIsThatOfItsGoldenFile(t *testing.T) {
	for tenant, bodies := range tenants(t) {
		got := Analyse(bodies, options()).text()
		file := filepath.Join("testdata", tenant+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || string(want) != got {
			t.Errorf("%s: %v; it is now (-update rewrites the file):\n%s", file, err, got)
		}
	}
}

// A configuration takes the place that is proposed, though the body has dots in its keys.
func TestAnalyse_ProposesPlacesThatAConfigurationTakes(t *testing.T) {
	body := `{"event":"signin_after","date":"2026-11-18T21:42:31Z","data.guest":"Ada Lovelace","data.write_to":"ada@example.com"}`
	r := Analyse([]Body{{Text: []byte(body)}}, options())
	if got := r.Spec.Places[fields.Email]; len(got) != 1 || got[0] != "/data_write_to" {
		t.Errorf("proposed: %q\n%s", got, r.text())
	}
	if _, problems := fields.Compile(r.Spec); len(problems) > 0 {
		t.Error(problems)
	}
}
