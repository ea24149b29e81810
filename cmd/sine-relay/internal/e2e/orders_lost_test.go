package e2e

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// What relays obey is what is shown, and what is lifted.
func TestOrders_LockdownMissingFromTheBucketIsShown(t *testing.T) {
	t.Parallel()
	const key = "lockdown.site.default"
	for name, lose := range map[string]func(*testing.T, jetstream.JetStream){
		"its key is purged": func(t *testing.T, js jetstream.JetStream) {
			stream, err := js.Stream(t.Context(), "KV_"+visit.DefaultOrderBucket)
			noError(t, err)
			noError(t, stream.Purge(t.Context(), jetstream.WithPurgeSubject("$KV."+visit.DefaultOrderBucket+"."+key)))
		},
		"the bucket is purged": func(t *testing.T, js jetstream.JetStream) {
			stream, err := js.Stream(t.Context(), "KV_"+visit.DefaultOrderBucket)
			noError(t, err)
			noError(t, stream.Purge(t.Context()))
		},
		"the bucket is made anew": func(t *testing.T, js jetstream.JetStream) { remake(t, js) },
		"the bucket is made anew with an older order": func(t *testing.T, js jetstream.JetStream) {
			remake(t, js)
			_, err := bucketOf(t, js).PutString(t.Context(), key, `{"kind":"lockdown","site":"default","id":"OLDER","since":"2020-01-01T00:00:00Z"}`)
			noError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t)
			environ := environment("NATS_URL=" + server.URL())
			settings := []string{"NATS_URL=" + server.URL(), "STATE_DIR=" + t.TempDir(), "ORDERS_MAX_AGE=15s"}
			p := runServe(t, settings...).ready()
			must(t, environ, "Obeyed by 1", "lockdown", "--site", "default", "--message", "Gas leak")
			lose(t, server.JetStream())
			lost := func(p *program) {
				t.Helper()
				eventually(t, "the relay knows that it is lost", func() bool {
					_, body := p.get("/readyz?verbose")
					return strings.Contains(body, ", and 1 that are no longer in the bucket\n") && strings.Contains(body, "the lockdown of site default is no longer in the bucket")
				})
				p.must(200, "Gas leak", webhook("signin_before", noon, "Ada"))
				_, out, errs := commandLine(environ, "orders")
				for _, want := range []string{"lockdown  default  not stored ", " 1 of 1 relay ", "Give such an order again, or lift it."} {
					if !strings.Contains(out, want) {
						t.Errorf("no %q in:\n%s%s", want, out, errs)
					}
				}
			}
			lost(p)
			// The next start knows it from what this one kept.
			p.end()
			p = runServe(t, settings...)
			lost(p)
			must(t, environ, "Obeyed by 1", "lockdown", "--site", "default", "--message", "Gas leak")
			if code, out, errs := commandLine(environ, "orders"); code != exitOK || strings.Contains(out, "not stored") {
				t.Errorf("given again, it ended with %d:\n%s%s", code, out, errs)
			}
			lose(t, server.JetStream())
			lost(p)
			must(t, environ, "(?s)is lifted: the bucket had lost it, and relays obeyed it.*Obeyed by 1", "lockdown", "lift", "--site", "default")
			p.must(200, "REJECTED", webhook("signin_before", noon, "Ada")) // nobody decides
			if _, body := p.get("/readyz?verbose"); strings.Contains(body, "in force") {
				t.Errorf("it holds after it was lifted:\n%s", body)
			}
		})
	}
}

// Only the bucket says at once that an order is not in force. What relays obey, they are
// asked for until one answers.
func TestOrders_LiftAsksRelaysUntilOneAnswers(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	environ := environment("NATS_URL=" + server.URL())
	fails(t, environ, "no lockdown of site hq in the bucket, and no relay answered: whether one obeys an order that the bucket has lost is not known", "lockdown", "lift", "--site", "hq", "--wait", "0s")
	var asked atomic.Int32
	fakeRelay(t, server, func(m *nats.Msg) {
		var held string
		switch asked.Add(1) {
		case 1:
			return // it is busy
		case 2:
			held = `{"kind":"lockdown","site":"hq","id":"LOST"}`
		}
		m.Respond([]byte(`{"name":"sine-relay","id":"LATE","version":"1","endpoints":[{"name":"status","data":{"state":"ready","sites":["hq"],"siteCount":1,"ordersRevision":9,"orders":[` + held + `]}}]}`))
	})
	must(t, environ, "(?s)is lifted: the bucket had lost it, and relays obeyed it.*Obeyed by 1 relay: LATE", "lockdown", "lift", "--site", "hq", "--wait", "30s")
	fails(t, environ, `of the relays that answered \(1\) none obeys one`, "lockdown", "lift", "--site", "hq")
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func bucketOf(t *testing.T, js jetstream.JetStream) jetstream.KeyValue {
	t.Helper()
	kv, err := js.KeyValue(t.Context(), visit.DefaultOrderBucket)
	noError(t, err)
	return kv
}

// remake deletes the bucket and makes one of the same configuration.
func remake(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	name := "KV_" + visit.DefaultOrderBucket
	stream, err := js.Stream(t.Context(), name)
	noError(t, err)
	noError(t, js.DeleteStream(t.Context(), name))
	_, err = js.CreateStream(t.Context(), stream.CachedInfo().Config)
	noError(t, err)
}

// Whoever answers as a relay may say what it likes. It fills no screen.
func TestOrders_FalselyReportedOnesAreCutShort(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	environ := environment("NATS_URL=" + server.URL())
	runServe(t, "NATS_URL="+server.URL()).ready()
	var orders []string
	for n := range 500 {
		orders = append(orders, fmt.Sprintf(`{"kind":"lockdown","site":"hq\u202e","id":"LIE%d"}`, n))
	}
	fakeRelay(t, server, func(m *nats.Msg) {
		m.Respond([]byte(`{"name":"sine-relay","id":"LIAR","version":"1","endpoints":[{"name":"status","data":{"state":"ready","siteCount":1,"orders":[` + strings.Join(orders, ",") + `]}}]}`))
	})
	_, out, errOut := commandLine(environ, "orders")
	if n := strings.Count(out, "not stored "); n != 20 || !strings.Contains(out, "480 more orders are obeyed and not stored.") || strings.Contains(out, "\u202e") {
		t.Errorf("%d are shown:\n%.3000s%s", n, out, errOut)
	}
}
