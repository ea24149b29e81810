//go:build linux && faults

package faults

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

// What a relay needs of NATS, in whichever version that is. By default it is that of
// go.mod; .ci/nats-versions tries older ones.

// groupLevel is the API level of JetStream from which on atomic batches are synced once.
const groupLevel = 5

func TestServer_StoresEachEventOnce(t *testing.T) {
	for _, groupCommit := range []string{"auto", "on", "off"} {
		name := "all goes well, group commit " + groupCommit
		closing.announce(name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, layout{senders: 32, synced: true, groupCommit: groupCommit, settings: []string{"NATS_SYNC_INTERVAL=0s"}})
			v := r.run(1, func() { r.report(r.more(20 * warmUp)) })
			closing.add(name, v)
			r.demand(v)
			r.demandNoRefusals(v)
			if v.spooled > 0 && machine.longest(r.begun) == 0 {
				t.Errorf("%d of %d events were spooled", v.spooled, v.kept)
			}
			level := r.auditor.level(t)
			if want := level >= groupLevel && groupCommit != "off"; want != (v.batched > 0) {
				t.Errorf("%d of %d events were stored in batches, by a server of API level %d", v.batched, v.stored, level)
			}
		})
	}
}

// level is the API level of the server, 0 for one that does not say it.
func (a *auditor) level(t *testing.T) (level int) {
	t.Helper()
	err := persist("the stream is described", func(ctx context.Context) error {
		info, err := a.info(ctx, visit.DefaultEventStream)
		if err == nil && info.Config.Metadata["_nats.level"] != "" {
			level, err = strconv.Atoi(info.Config.Metadata["_nats.level"])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return level
}

// With group commit where each message is synced, and where it does not pay.
func TestServer_SurvivesFaults(t *testing.T) {
	synced := layout{senders: 32, groupCommit: "on", synced: true}
	unsynced := layout{senders: 32, groupCommit: "on"}
	scenarios := []scenario{
		{"in batches, and NATS is killed", synced, nodeKilled, 1},
		{"in batches, and NATS is paused", synced, nodePaused, 2.5},
		{"in batches, and the stream is full", synced, streamFull, 1},
		{"in batches, and the permission is revoked", synced, permissionRevoked, 1},
		{"in batches, and NATS is killed without having synced", unsynced, nodeKilled, 1},
		{"in batches, and NATS comes back with an older store", unsynced, noticed(storedAndRolledBack), 1},
		{"in batches, and NATS comes back with an empty store", unsynced, noticed(storeEmptied), 1},
	}
	if *flagNATS == "" { // the cluster of an older one may be without a leader for longer than a minute
		cluster := layout{nodes: 3, senders: 32, groupCommit: "on", synced: true}
		scenarios = append(scenarios, scenario{"in batches, and a cluster's leader is killed", cluster, leaderKilled, 1})
	}
	for _, s := range scenarios {
		closing.announce(s.name)
		t.Run(s.name, s.run)
	}
}

func TestServer_AnswersVisitorsAndOperators(t *testing.T) {
	t.Parallel()
	r := newFixture(t, layout{})
	r.startDeciders(1)
	one, v := r.relays[0], &visitors{fixture: r}
	answers := func(code, text string) {
		t.Helper()
		at, _ := one.where()
		said, err := v.ask(at.webhook, strings.NewReader(`{"event":"signin_before","data":{"firstName":"Ada","lastName":"Lovelace"}}`))
		if err != nil || said.Code != code || !strings.Contains(said.Message, text) {
			t.Errorf("answered %v, %v; want %s %q", said, err, code, text)
		}
	}
	command := func(want string, words ...string) {
		t.Helper()
		if out, err := one.command(r.programs, words...); err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v\n%s\nwant %q", words, err, out, want)
		}
	}
	answers("SUCCESS", "")
	command("1.0.0", "deciders")
	command("Obeyed by 1 relay", "lockdown", "--site", "default", "--message", "Gas leak")
	answers("REJECTED", "Gas leak")
	r.must(nodeKilled(r, 0, 0))
	r.must(await("relay and decider are connected again", func() bool {
		_, err := one.command(r.programs, "deciders") // which fails without
		return err == nil && one.ready()
	}))
	answers("REJECTED", "Gas leak")
	command("lockdown", "orders")
	command("Obeyed by 1 relay", "lockdown", "lift", "--site", "default")
	answers("SUCCESS", "")
	at, _ := one.where()
	_, err := v.ask(at.webhook, strings.NewReader("visitor=Ada"))
	r.must(err)
	command("not_json", "quarantine", "ls")
	r.must(await("the visits are on record", func() bool {
		out, err := one.command(r.programs, "visits")
		return err == nil && strings.Count(out, "check_in_request") >= 4
	}))
}
