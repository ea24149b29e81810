package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/sine-relay/sine-relay/broker/brokertest"
	"github.com/sine-relay/sine-relay/deploy/dashboard"
)

const dashboardFile = "../../deploy/dashboard/sine-relay.json"

// unused are the metrics that no panel asks for, and why not.
var unused = map[string]string{}

// graph is what the tests read of a dashboard.
type graph struct {
	UID           string
	ID            *int
	SchemaVersion int
	Templating    struct{ List []struct{ Name, Type string } }
	Annotations   struct {
		List []struct {
			Name, Expr string
			Datasource source
		}
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               source
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		RefID, Expr, LegendFormat string
		Datasource                source
	}
	Panels []panel
}

type source struct{ Type, UID string }

// readDashboard is the file, and not what it is made from: the file is what users
// have.
func readDashboard(t *testing.T) graph {
	t.Helper()
	content, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var g graph
	if err := json.Unmarshal(content, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// The dashboard is made from its tables. A stale or edited one fails here.
func TestTheDashboardIsMadeFromItsTables(t *testing.T) {
	want, err := dashboard.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(dashboardFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := os.ReadFile(dashboardFile); err != nil || !bytes.Equal(found, want) {
		t.Fatalf("deploy/dashboard/sine-relay.json is stale (%v): go test ./cmd/sine-relay -run Dashboard -update", err)
	}
}

func TestTheDashboardCanBeImportedAnywhere(t *testing.T) {
	g := readDashboard(t)
	if g.UID != dashboard.UID || g.ID != nil || g.SchemaVersion == 0 {
		t.Errorf("uid %q, id %v, schemaVersion %d", g.UID, g.ID, g.SchemaVersion)
	}
	for _, a := range g.Annotations.List {
		if a.Datasource != chosen {
			t.Errorf("annotation %q asks %v", a.Name, a.Datasource)
		}
	}
	ids, sections := map[int]bool{}, []string{}
	for i, p := range g.Panels {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("panel %q has the id %d, which is none or not its own", p.Title, p.ID)
		}
		ids[p.ID] = true
		for _, other := range g.Panels[:i] {
			if p.overlaps(other) {
				t.Errorf("panel %q lies on %q", p.Title, other.Title)
			}
		}
		if p.GridPos.X+p.GridPos.W > 24 || p.GridPos.W < 1 || p.GridPos.H < 1 {
			t.Errorf("panel %q does not fit the page: %v", p.Title, p.GridPos)
		}
		if p.Type == "row" {
			sections = append(sections, p.Title)
			continue
		}
		p.check(t)
	}
	if want := []string{"Door", "Facts", "Spool", "NATS", "Runtime"}; !slices.Equal(sections, want) {
		t.Errorf("rows %v, want %v", sections, want)
	}
}

// chosen is the data source that the reader chose.
var chosen = source{"prometheus", "${datasource}"}

func (p panel) overlaps(o panel) bool {
	a, b := p.GridPos, o.GridPos
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

// check holds for every panel that shows something.
func (p panel) check(t *testing.T) {
	t.Helper()
	if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource != chosen || len(p.Targets) == 0 {
		t.Errorf("panel %d %q lacks a title, a description, a unit, a query or the chosen data source", p.ID, p.Title)
	}
	refs := map[string]bool{}
	for _, target := range p.Targets {
		if target.RefID == "" || refs[target.RefID] || target.Datasource != chosen {
			t.Errorf("panel %q: query %q has no name of its own, or asks %v", p.Title, target.RefID, target.Datasource)
		}
		refs[target.RefID] = true
	}
}

// ask is a query and the labels that its legend shows.
type ask struct {
	where, expr string
	shown       []string
}

func (g graph) asks() (all []ask) {
	for _, a := range g.Annotations.List {
		all = append(all, ask{where: a.Name, expr: a.Expr})
	}
	for _, p := range g.Panels {
		for _, target := range p.Targets {
			q := ask{where: p.Title + " " + target.RefID, expr: target.Expr}
			for _, m := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
				q.shown = append(q.shown, m[1])
			}
			all = append(all, q)
		}
	}
	return all
}

var (
	legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)
	selector    = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}`)
	matcher     = regexp.MustCompile(`(\w+)(=~|!~|!=|=)"([^"]*)"`)
	grouping    = regexp.MustCompile(`\b(by|on)\s*\(([^)]*)\)`)
	ranges      = regexp.MustCompile(`\[[^]]*\]`)
	word        = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	number      = regexp.MustCompile(`\b[0-9][0-9.e]*\b|\$\{__from\}`)
	called      = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(`)
)

// bare returns the words of a query that nothing else explains: a metric without
// matchers, and what is misspelled.
func bare(expr string) (words []string) {
	for _, known := range []*regexp.Regexp{selector, grouping, ranges, number} {
		expr = known.ReplaceAllString(expr, " ")
	}
	expr = regexp.MustCompile(`\b(sum|min|max|count)\s+\(`).ReplaceAllString(expr, "(")
	for _, w := range word.FindAllString(called.ReplaceAllString(expr, " "), -1) {
		if w != "and" && w != "or" && w != "unless" {
			words = append(words, w)
		}
	}
	return words
}
