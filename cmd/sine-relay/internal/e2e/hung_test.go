package e2e

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

// A client that reads nothing any more keeps its connection, and as a member of the
// decider's group its part of the questions. The shipped configurations drop it while
// somebody still looks; by default that takes six minutes.
func TestADeciderThatHangsIsDropped(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"nats.conf", "single.conf"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t, configured(t, natsDir+file, nil), func(o *server.Options) {
				o.Cluster, o.Routes = server.ClusterOpts{}, nil
			})
			conn, err := net.Dial("tcp", s.Server().Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, "CONNECT {\"user\":\"decider\",\"pass\":\"Zsecret\",\"verbose\":false}\r\nSUB visitors.v1.ask.hq.default q 1\r\n")
			tooLong := time.After(time.Minute)
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				closed, err := s.Server().Connz(&server.ConnzOptions{State: server.ConnClosed})
				if err != nil {
					t.Fatal(err)
				}
				if len(closed.Conns) > 0 {
					if reason := closed.Conns[0].Reason; reason != server.StaleConnection.String() {
						t.Errorf("closed because: %s", reason)
					}
					return
				}
				select {
				case <-tick.C:
				case <-tooLong:
					t.Fatal("it is still asked")
				}
			}
		})
	}
}
