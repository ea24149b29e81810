package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

// Whoever answers as a relay without end must not keep a lockdown from being given.
func TestRelaysWithoutEndDoNotHoldUpALockdown(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	environ := environment("NATS_URL=" + server.URL())
	runServe(t, "NATS_URL="+server.URL()).ready()
	poseAsRelay(t, server, func(m *nats.Msg) { go drip(t, m.Respond) })
	must(t, environ, `(?s)of site default is in force.*Obeyed by [0-9]+ relays?: `, "lockdown", "--site", "default", "--wait", "0s")
	must(t, environ, `(?s)of site default is lifted.*Obeyed by [0-9]+ relays?: `, "lockdown", "lift", "--site", "default", "--wait", "0s")
}

// drip answers as one relay more, again and again, before silence ends the look.
func drip(t *testing.T, respond func([]byte) error) {
	for n := 0; t.Context().Err() == nil; n++ {
		if respond(fmt.Appendf(nil, `{"name":"sine-relay","id":"LIAR%d","version":"1","endpoints":[{"name":"status","data":{"state":"ready","sites":["elsewhere"],"siteCount":1}}]}`, n)) != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}
