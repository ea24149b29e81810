//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// sendBodies sends the largest bodies that are let in, from so many senders, each
// as fast as it is answered, and returns how often it was answered what.
func sendBodies(ctx context.Context, o order) map[string]int {
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: o.Assault.Count}}
	answers := map[string]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for n := range o.Assault.Count {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				what := "nothing"
				if status, _, err := post(client, o.Webhook+"/check-in-success", o.Key, largeBody(n, i)); err == nil {
					what = fmt.Sprint(status)
				}
				mu.Lock()
				answers[what]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return answers
}

// largeBody has many form answers, of which we make fields of our own.
func largeBody(sender, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"event":"signin_after","date":%q,"data":{"firstName":"Mallory","lastName":"%d-%d","formResponses":{"responses":[`,
		time.Now().UTC().Format(time.RFC3339Nano), sender, n)
	for b.Len() < bodyBytes-300 {
		fmt.Fprintf(&b, `{"label":"%0100d","value":%q},`, b.Len(), strings.Repeat("v", 100))
	}
	b.WriteString(`{"label":"last","value":"`)
	b.WriteString(strings.Repeat("x", bodyBytes-b.Len()-len(`"}]}}}`)))
	b.WriteString(`"}]}}}`)
	return b.String()
}

// longReply is a decider's, with as many endpoints as fit.
func longReply() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"name":%q,"id":"made-up","version":"1.0.0","endpoints":[`, visit.DeciderService)
	for b.Len() < replyBytes-100 {
		fmt.Fprintf(&b, `{"subject":"visitors.v1.ask.site-%d.default"},`, b.Len())
	}
	b.WriteString(`{"subject":"visitors.v1.ask.last.default"}]}`)
	return []byte(b.String())
}

// answerSearches answers every search for deciders so often, at length, and
// returns how many answers there were.
func answerSearches(ctx context.Context, o order) (int64, error) {
	nc, err := nats.Connect(o.NATS, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	text := longReply()
	var sent atomic.Int64
	_, err = nc.Subscribe("$SRV.STATS.>", func(m *nats.Msg) {
		for range o.Assault.Count {
			if m.Respond(text) == nil {
				sent.Add(1)
			}
		}
	})
	if err != nil {
		return 0, err
	}
	<-ctx.Done()
	return sent.Load(), nil
}
