package dashboard

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"
)

const file = "sine-relay.json"

var update = flag.Bool("update", false, "rewrite "+file)

func TestDashboard_FileIsGeneratedFromTheTables(t *testing.T) {
	want, err := JSON()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(found, want) {
		t.Fatalf("%s is stale: go test ./deploy/dashboard -update", file)
	}
}

// filed is what the tests read of the file, and not of what it is made from: the
// file is what users have.
type filed struct {
	UID           string
	ID            *int
	SchemaVersion int
	Templating    struct {
		List []struct {
			Name       string
			Datasource *filedSource
		}
	}
	Annotations struct {
		List []struct {
			Name       string
			Datasource filedSource
		}
	}
	Panels []filedPanel
}

type filedPanel struct {
	ID                       int
	Type, Title, Description string
	Datasource               filedSource
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		RefID, Expr string
		Datasource  filedSource
	}
}

type filedSource struct{ Type, UID string }

// chosen is the data source that the reader has chosen.
var chosen = filedSource{"prometheus", "${datasource}"}

func read(t *testing.T) (f filed) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(content, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDashboard_CanBeImportedAnywhere(t *testing.T) {
	f := read(t)
	if f.UID != UID || f.ID != nil || f.SchemaVersion == 0 {
		t.Errorf("uid %q, id %v, schemaVersion %d", f.UID, f.ID, f.SchemaVersion)
	}
	var names []string
	for _, v := range f.Templating.List {
		names = append(names, v.Name)
		if v.Name != "datasource" && (v.Datasource == nil || *v.Datasource != chosen) {
			t.Errorf("variable %s asks %v", v.Name, v.Datasource)
		}
	}
	if want := []string{"datasource", "namespace", "job", "integration"}; !slices.Equal(names, want) {
		t.Errorf("variables %v, want %v", names, want)
	}
	for _, a := range f.Annotations.List {
		if a.Datasource != chosen {
			t.Errorf("annotation %q asks %v", a.Name, a.Datasource)
		}
	}
}

func TestPanels_AreDescribedAndQueryTheChosenDataSource(t *testing.T) {
	for _, p := range read(t).Panels {
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource != chosen || len(p.Targets) == 0 {
			t.Errorf("panel %d %q lacks a title, a description, a unit, a query or the chosen data source", p.ID, p.Title)
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if q.RefID == "" || refs[q.RefID] || q.Expr == "" || q.Datasource != chosen {
				t.Errorf("panel %q: query %q is empty, has no name of its own, or asks %v", p.Title, q.RefID, q.Datasource)
			}
			refs[q.RefID] = true
		}
	}
}

func TestPanels_DoNotOverlapAndRowsAreInOrder(t *testing.T) {
	var headings []string
	ids := map[int]bool{}
	panels := read(t).Panels
	for i, p := range panels {
		if p.ID == 0 || ids[p.ID] {
			t.Errorf("panel %q has the id %d, which is none or another's", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			headings = append(headings, p.Title)
		}
		if at := p.GridPos; at.X < 0 || at.W < 1 || at.H < 1 || at.X+at.W > pageWidth {
			t.Errorf("panel %q does not fit the page: %v", p.Title, at)
		}
		for _, other := range panels[:i] {
			if p.overlaps(other) {
				t.Errorf("panel %q lies on %q", p.Title, other.Title)
			}
		}
	}
	if want := []string{"Check-in", "Events", "Spool", "NATS", "Runtime"}; !slices.Equal(headings, want) {
		t.Errorf("rows %v, want %v", headings, want)
	}
}

func (p filedPanel) overlaps(o filedPanel) bool {
	a, b := p.GridPos, o.GridPos
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}
