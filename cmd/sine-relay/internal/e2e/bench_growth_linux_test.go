package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// benchDocs is where BenchmarkGrowth writes the table of cost.md, and cost.svg, a plot.
// Without it, it prints the table.
var benchDocs = os.Getenv("BENCH_DOCS")

// growth is what one thing costs when it grows: the relay beside the bare handler, in
// the same run.
type growth struct {
	axis, value string
	relay, bare figures // medians
}

// variations are one setting after another, each from small to large, while the others
// stay as they are.
func variations() (all []growthSetup) {
	add := func(axis, value string, s benchSetup, bytes int) {
		s.floors = []string{roleFloorRaw}
		all = append(all, growthSetup{axis, value, s, bytes})
	}
	for _, n := range []int{1, 100, 1000} {
		add("integrations", fmt.Sprint(n), benchSetup{integrations: n}, 0)
	}
	for _, kib := range []int{1, 16, 250} {
		add("body, KiB", fmt.Sprint(kib), benchSetup{}, kib<<10)
	}
	for _, n := range []int{1, 4, 16, 64, 256} {
		add("senders", fmt.Sprint(n), benchSetup{clients: n}, 0)
	}
	for _, n := range []int{1, 3} {
		add("NATS nodes", fmt.Sprint(n), benchSetup{nodes: n, replicas: n}, 0)
	}
	for _, n := range []int{1, 2, 4} {
		add("relays", fmt.Sprint(n), benchSetup{relays: n}, 0)
	}
	return all
}

type growthSetup struct {
	axis, value string
	benchSetup
	bytes int
}

// BenchmarkGrowth is what an event costs with more of everything. Run it with
// -benchtime=1x.
func BenchmarkGrowth(b *testing.B) {
	var all []growth
	for _, v := range variations() {
		b.Run(v.axis+" "+v.value, func(b *testing.B) {
			rig := newBench(b, v.benchSetup)
			body := benchEvent
			if v.bytes > 0 {
				body = sized(b, body, v.bytes)
			}
			rounds := map[string][]figures{}
			for range 3 {
				for _, role := range []string{roleRelay, roleFloorRaw} {
					end := time.Now().Add(benchRound)
					rounds[role] = append(rounds[role], rig.load(b, rig.handlers[role], body, func() bool { return time.Now().Before(end) }))
					rig.purge(b)
				}
			}
			all = append(all, growth{v.axis, v.value, medians(rounds[roleRelay]), medians(rounds[roleFloorRaw])})
		})
	}
	table := growthTable(all)
	if benchDocs == "" {
		fmt.Print(table)
		return
	}
	page := filepath.Join(benchDocs, "cost.md")
	text, err := os.ReadFile(page)
	if err != nil {
		b.Fatal(err)
	}
	before, _, found := strings.Cut(string(text), tableBegin)
	_, after, foundEnd := strings.Cut(string(text), tableEnd)
	if !found || !foundEnd {
		b.Fatalf("%s: no table between %s and %s", page, tableBegin, tableEnd)
	}
	for name, content := range map[string]string{page: before + tableBegin + "\n" + table + tableEnd + after, filepath.Join(benchDocs, "cost.svg"): growthPlot(all)} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

// The table of cost.md is between these lines.
const tableBegin, tableEnd = "<!-- growth -->", "<!-- /growth -->"

// sized is an event of about so many bytes: its last answer is longer.
func sized(b *testing.B, body []byte, size int) []byte {
	b.Helper()
	end := []byte(`"}]}}}`)
	if !bytes.HasSuffix(body, end) {
		b.Fatal("the event ends otherwise")
	}
	text := strings.Repeat("and so on, as long texts do ", 1+max(0, size-len(body))/28)
	return append(append(bytes.Clone(body[:len(body)-len(end)]), text[:max(0, size-len(body))]...), end...)
}

func medians(all []figures) figures {
	return figures{perSecond: median(all, perSecond), p50: median(all, p50), p99: median(all, p99), cpu: median(all, cpu), resident: median(all, resident)}
}

func growthTable(all []growth) string {
	var w strings.Builder
	w.WriteString("| | | events/s | to the bare handler | CPU, µs | to the bare handler | p99, ms | to the bare handler | MB |\n|---|---|---|---|---|---|---|---|---|\n")
	axis := ""
	for _, g := range all {
		name := g.axis
		if name == axis {
			name = ""
		}
		axis = g.axis
		fmt.Fprintf(&w, "| %s | %s | %.0f | %.2f | %.0f | %.2f | %.1f | %.2f | %.0f |\n", name, g.value,
			g.relay.perSecond, g.relay.perSecond/g.bare.perSecond, g.relay.cpu, g.relay.cpu/g.bare.cpu,
			g.relay.p99/1000, g.relay.p99/g.bare.p99, g.relay.resident)
	}
	return w.String()
}

// The plot has a panel for each axis, with the relay's CPU per event and its throughput
// as multiples of the bare handler's.
const (
	panelWidth, panelHeight = 180, 150
	panelTop, panelLeft     = 40, 36
	plotMax                 = 4.0 // times the bare handler
)

func growthPlot(all []growth) string {
	var panels [][]growth
	for i, g := range all {
		if i == 0 || all[i-1].axis != g.axis {
			panels = append(panels, nil)
		}
		panels[len(panels)-1] = append(panels[len(panels)-1], g)
	}
	var w strings.Builder
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n",
		panelLeft+len(panels)*panelWidth, panelTop+panelHeight+30)
	w.WriteString(`<rect width="100%" height="100%" fill="#fff"/>` + "\n")
	w.WriteString(`<text x="8" y="16"><tspan fill="#b3261e">CPU per event</tspan> and <tspan fill="#1f5fa8">events per second</tspan>, as multiples of the bare handler in the same run</text>` + "\n")
	for i := range int(plotMax) + 1 {
		fmt.Fprintf(&w, `<text x="8" y="%.0f" fill="#666">%d</text>`+"\n", plotY(float64(i))+4, i)
	}
	for i, p := range panels {
		writePanel(&w, panelLeft+i*panelWidth, p)
	}
	w.WriteString("</svg>\n")
	return w.String()
}

func plotY(ratio float64) float64 {
	return panelTop + panelHeight*(1-min(ratio, plotMax)/plotMax)
}

func writePanel(w *strings.Builder, left int, p []growth) {
	const width = panelWidth - 24
	for i := range int(plotMax) + 1 {
		fmt.Fprintf(w, `<line x1="%d" x2="%d" y1="%.0f" y2="%.0f" stroke="#ddd"/>`+"\n", left, left+width, plotY(float64(i)), plotY(float64(i)))
	}
	fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="middle" font-weight="bold">%s</text>`+"\n", left+width/2, panelTop-8, p[0].axis)
	for _, line := range []struct {
		colour string
		of     func(figures) float64
	}{{"#b3261e", cpu}, {"#1f5fa8", perSecond}} {
		var points []string
		for i, g := range p {
			x := float64(left) + float64(width)*(float64(i)+0.5)/float64(len(p))
			y := plotY(line.of(g.relay) / line.of(g.bare))
			points = append(points, fmt.Sprintf("%.0f,%.1f", x, y))
			fmt.Fprintf(w, `<circle cx="%.0f" cy="%.1f" r="3" fill="%s"/>`+"\n", x, y, line.colour)
			fmt.Fprintf(w, `<text x="%.0f" y="%d" text-anchor="middle" fill="#666">%s</text>`+"\n", x, panelTop+panelHeight+16, g.value)
		}
		fmt.Fprintf(w, `<polyline points="%s" fill="none" stroke="%s"/>`+"\n", strings.Join(points, " "), line.colour)
	}
}
