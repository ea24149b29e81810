package e2e

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/deskserver"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/internal/promtest"
)

// The page on the desk has each state of a door, as the pages name and explain it, in
// their order, and says what to do.
func TestDocs_TheDesksPageHasEachStateOfADoor(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../../docs/desk.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "<!-- states: begin -->\n")
	table, _, closed := strings.Cut(rest, "<!-- states: end -->")
	rows := strings.Split(strings.TrimSpace(table), "\n")
	if !closed || len(rows) != len(doors.States)+2 {
		t.Fatalf("%d rows for %d states", len(rows)-2, len(doors.States))
	}
	for i, state := range doors.States {
		want := "| " + state.Title() + " | " + state.Meaning() + " | "
		if what, found := strings.CutPrefix(rows[i+2], want); !found || len(what) < len("Nothing |") {
			t.Errorf("row %d is %q, want %q and what to do", i+1, rows[i+2], want)
		}
	}
}

// deskMetrics starts a desk with a NATS, and returns the text of its metrics.
func deskMetrics(t *testing.T) string {
	t.Helper()
	nats := natstest.Start(t)
	s, of, err := config.LoadForDesk(environment("NATS_URL="+nats.URL(), "DESK_LISTEN=127.0.0.1:0", "DESK_ADMIN_LISTEN=127.0.0.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	desk, err := deskserver.Start(deskserver.Options{Settings: s, Desk: of, Log: slog.New(slog.DiscardHandler), NATS: server.AdminConfig(s)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- desk.Run(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	response, err := http.Get("http://" + desk.AdminAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDocs_TheDesksMetricsAreTheProgramsOwn(t *testing.T) {
	t.Parallel()
	families := promtest.Parse(t, deskMetrics(t))
	maps.DeleteFunc(families, func(name string, _ *dto.MetricFamily) bool { return !strings.HasPrefix(name, "sine_relay_desk_") })
	if len(families) == 0 {
		t.Fatal("the desk has no metrics")
	}
	checkTable(t, "docs/metrics.md", "desk", metricsTable(families))
}
