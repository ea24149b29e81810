package deskserver

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	storedSites = 40
	storedDays  = 30
	// wronged is the place of one that was rejected and has a check-in.
	wronged = 7
)

// decisions stores n of the last 30 days, of which a tenth are rejections and a twentieth
// let somebody in on a fallback. With named, Sine sent an id of each visit, and there is a
// check-in with 2 KiB of Sine's for each acceptance, and for one rejection.
func decisions(b testing.TB, n int, named bool) *natstest.Server {
	b.Helper()
	s := natstest.Start(b, func(o *server.Options) { o.JetStreamMaxStore = 4 << 30 })
	js := s.JetStream()
	for stream, subjects := range map[string]string{visit.DefaultDecisionStream: "visitors.v1.decision.>", visit.DefaultEventStream: "visitors.v1.event.>"} {
		if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: stream, Subjects: []string{subjects}, Storage: jetstream.FileStorage, AllowDirect: true}); err != nil {
			b.Fatal(err)
		}
	}
	start := time.Now().Add(-storedDays * 24 * time.Hour).UTC()
	source, err := json.Marshal(map[string]string{"anything": strings.Repeat("x", 2<<10)})
	if err != nil {
		b.Fatal(err)
	}
	store := func(m visit.Message, err error) {
		if err == nil {
			_, err = js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for i := range n {
		id, site, received := visit.NewRequestID(), fmt.Sprintf("site-%02d", i%storedSites), start.Add(time.Duration(i)*(storedDays*24*time.Hour/time.Duration(n)))
		r := visit.Record{
			RequestID: id, Reference: visit.Reference(id), Site: site, Integration: site + "-lobby", Received: received, Visit: visit.NewVisitKey(""),
			Verdict: visit.Accept, Situation: visit.SituationDecided, Rule: "all: default accepted", Decider: "default", TookMs: 21.5, Policy: "0123456789abcdef",
			Votes: []visit.Vote{{Decider: "default", Version: "v1.2.3", Situation: visit.SituationDecided, Verdict: visit.Accept, TookMs: 20}},
		}
		if named {
			r.Visit = visit.NewVisitKey(id)
		}
		switch i / storedSites % 20 {
		case 0, 10:
			r.Verdict = visit.Reject
		case 5:
			r.Fallback, r.Situation = true, visit.SituationTimeout
		}
		store(r.Message(visit.Subjects{}))
		if named && (r.Verdict == visit.Accept || i == wronged) {
			e := visit.Event{ID: visit.EventID(r.Integration, visit.KindCheckedIn, visit.Fingerprint{}), Kind: visit.KindCheckedIn, Origin: visit.Origin{
				RequestID: visit.NewRequestID(), Site: site, Integration: r.Integration, Time: received, TimeBasis: visit.TimeReceived, TimeZone: "UTC", Received: received, Visit: r.Visit,
			}, Source: source}
			store(e.Message(visit.Subjects{}))
		}
		if i%500 == 499 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
	return s
}

// day is the date so many days ago.
func day(ago int) string { return time.Now().UTC().AddDate(0, 0, -ago).Format(time.DateOnly) }

// wholePage is a page that has everything.
func wholePage(b testing.TB, srv *Server, query string) string {
	b.Helper()
	for giveUp := time.Now().Add(patience); ; {
		status, body := get(b, srv.URL()+"/decisions?"+query)
		switch {
		case status != http.StatusOK || time.Now().After(giveUp):
			b.Fatalf("%d, and not everything", status)
		case !strings.Contains(body, "not on this page"):
			return body
		}
	}
}

// BenchmarkDecisions asks for the page Decisions over HTTP, and for the export: of 30 days
// with 100,000 decisions at 40 sites, from NATS with file storage, which is in the same
// process. All are stored today, so that a desk that starts reads them as those of the last day,
// too: "started" is from the start of a desk until the page has everything, and "first"
// until the first page came.
func BenchmarkDecisions(b *testing.B) {
	const n = 100_000
	for _, named := range []bool{false, true} {
		b.Run(map[bool]string{false: "without ids of visits", true: "with ids of visits"}[named], func(b *testing.B) {
			s := decisions(b, n, named)
			month := "from=" + day(storedDays) + "&to=" + day(0)
			b.Run("started", func(b *testing.B) {
				for b.Loop() {
					begun := time.Now()
					srv, end := run(b, options(b, io.Discard, "NATS_URL="+s.URL()))
					get(b, srv.URL()+"/decisions?"+month)
					first := time.Since(begun)
					wholePage(b, srv, month)
					b.ReportMetric(first.Seconds()*1000, "first-ms")
					end()
				}
			})
			srv, _ := run(b, options(b, io.Discard, "NATS_URL="+s.URL()))
			if body := wholePage(b, srv, month); !strings.Contains(body, fmt.Sprint(n, " check-in requests from")) {
				b.Fatal("not everything is counted")
			}
			for _, c := range []struct{ name, query string }{
				{"all", month}, {"one site", month + "&site=site-07"}, {"one day", "from=" + day(9) + "&to=" + day(9)},
				{"rejected", month + "&result=rejected"}, {"last page", month + "&page=19"},
			} {
				b.Run(c.name, func(b *testing.B) {
					for b.Loop() {
						wholePage(b, srv, c.query)
					}
				})
			}
			if named {
				return
			}
			form, err := url.ParseQuery(month)
			if err != nil {
				b.Fatal(err)
			}
			b.Run("CSV", func(b *testing.B) {
				for b.Loop() {
					r, err := client.PostForm(srv.URL()+"/decisions.csv", form)
					if err != nil || r.StatusCode != http.StatusOK {
						b.Fatal(r, err)
					}
					n, err := io.Copy(io.Discard, r.Body)
					if err != nil {
						b.Fatal(err)
					}
					r.Body.Close()
					b.ReportMetric(float64(n)/1e6, "MB")
				}
			})
		})
	}
}

// What pages and export say of what is stored in NATS.
func TestServer_CountsDecisions(t *testing.T) {
	const n = 4000
	s := decisions(t, n, true)
	srv, _ := run(t, options(t, io.Discard, "NATS_URL="+s.URL()))
	month := "from=" + day(storedDays) + "&to=" + day(0)
	for query, want := range map[string]int{"": n, "&site=site-07": n / storedSites, "&result=rejected": n / 10, "&result=fallback": n / 20, "&site=site-07&result=rejected": n / storedSites / 10} {
		page := wholePage(t, srv, month+query)
		if !strings.Contains(page, fmt.Sprint(want, " check-in requests from")) || strings.Count(page, "/visit?request=")-strings.Count(page, "yet checked in: 1 at") != min(want, 50) {
			t.Errorf("%q counts other than %d, or does not list them", query, want)
		}
		if wrong := fmt.Sprintf("Rejected and yet checked in: 1 at site-%02d (", wronged); strings.Contains(page, wrong) == strings.Contains(query, "result") {
			t.Errorf("%q has or lacks %q", query, wrong)
		}
		form, err := url.ParseQuery(month + query)
		if err != nil {
			t.Fatal(err)
		}
		r, err := client.PostForm(srv.URL()+"/decisions.csv", form)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if rows := strings.Count(string(text), "\n"); err != nil || rows != want+1 {
			t.Errorf("%q has %d rows: %v", query, rows, err)
		}
	}
}
