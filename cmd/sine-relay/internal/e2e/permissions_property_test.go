package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/embedded"
)

// An effect is what somebody changes, as "stream subject" for a message that gets
// into a stream, "stream changed" for anything else about a stream or its consumers,
// and "heard subject" for what reaches somebody who listens.
type effect struct {
	what string
	// remains is set for what a user is not meant to change and can, by a reply
	// subject or a consumer; deploy/nats/README.md says so.
	remains bool
}

// mayChange is all that each user may change, by whatever way, on the NATS of
// deploy/nats. The administrator may change everything. Subjects may hold wildcards.
var mayChange = map[string][]effect{
	"relay": {
		{"heard visitors.v1.ask.hq.default", false}, {"heard $SRV.>", false},
		{"heard _INBOX_SINE_RELAY.>", false}, // what it was asked itself
		{"VISITOR_DESK visitors.v1.audit.*.*", true},
		{"VISITORS visitors.v1.event.*.*", false}, {"VISITOR_DECISIONS visitors.v1.decision.*.*", false}, {"VISITOR_QUARANTINE visitors.v1.quarantine.*", false},
		{"KV_VISITOR_ORDERS changed", false}, // consumers of its own
		{"KV_VISITOR_ORDERS $KV.VISITOR_ORDERS.>", true}, {"heard _INBOX.>", true},
	},
	"decider":  {},
	"operator": append(guards(), effect{"KV_VISITOR_ORDERS $KV.VISITOR_ORDERS.override.>", false}),
	guard:      guards(),
	"desk": {
		{"heard $SRV.>", false}, {"heard _INBOX.operator", false}, {"VISITOR_DESK visitors.v1.audit.*.*", false},
		{"KV_VISITOR_ORDERS $KV.VISITOR_ORDERS.lockdown.>", false}, {"KV_VISITOR_ORDERS $KV.VISITOR_ORDERS.override.>", false},
		{"KV_VISITOR_ORDERS changed", false}, // consumers of its own
		{"heard visitors.v1.ask.hq.default", true},
	},
	"consumer": {{"VISITORS changed", false}, {"heard _INBOX.consumer", false}}, // the progress of its durable
}

// guard is an operator who may not let visitors in without a check.
const guard = "guard"

func guards() []effect {
	return []effect{
		{"heard visitors.v1.ask.hq.default", false}, {"heard $SRV.>", false}, {"heard _INBOX.operator", false},
		{"KV_VISITOR_ORDERS $KV.VISITOR_ORDERS.lockdown.>", false},
		{"KV_VISITOR_ORDERS changed", false},      // consumers of its own
		{"VISITORS visitors.v1.event.*.*", false}, // replays
		{"VISITOR_QUARANTINE changed", false},     // deletes what was replayed
	}
}

// embeddedToo is what users of the embedded NATS may change besides: the consumers
// make their durables themselves, and say where their events go. NATS sends them
// where somebody listens to just that subject.
var embeddedToo = map[string][]effect{
	"consumer": {{"heard visitors.v1.ask.hq.default", true}},
}

// Whatever a user publishes, requests, pulls or gets directly, and wherever it has
// the answer sent: nothing changes but what that user may change.
func TestPermissions_NoUserChangesMoreThanAllowed(t *testing.T) {
	t.Parallel()
	deployed := startDeployment(t, writeConf(t, withGuard(t, accounts(t))))
	t.Run("deploy", func(t *testing.T) {
		t.Parallel()
		l := &prober{url: deployed.URL(), options: asUser}
		l.examine(t, []string{"relay", "decider", "operator", guard, "desk", "consumer"}, nil)
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		s, err := embedded.Start(embedded.Config{StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Shutdown)
		l := &prober{url: s.URL(), options: func(user string) nats.Option { return nats.UserInfo(user, s.Password(user)) }}
		js, err := jetstream.New(l.connect(t, "admin"))
		if err != nil {
			t.Fatal(err)
		}
		makeStreams(t, js, 1)
		l.examine(t, []string{"relay", "decider", "operator", "desk", "consumer"}, embeddedToo)
	})
}

// withGuard adds an operator without the line of the override.
func withGuard(t *testing.T, text string) string {
	t.Helper()
	return userBlock.ReplaceAllStringFunc(text, func(block string) string {
		if userBlock.FindStringSubmatch(block)[1] != "operator" {
			return block
		}
		return block + deprived(t, block, permission{user: "operator", verb: "publish", subject: "$KV.VISITOR_ORDERS.override.>"}, guard)
	})
}

// prober is a NATS on which users try everything.
type prober struct {
	url     string
	options func(user string) nats.Option
	admin   *nats.Conn
	ears    []*nats.Conn
	heard   chan string // by what was subscribed to
}

func (l *prober) connect(t *testing.T, user string) *nats.Conn {
	t.Helper()
	o := []nats.Option{l.options(user), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})}
	if user == "relay" {
		o = append(o, nats.CustomInboxPrefix("_INBOX_SINE_RELAY"))
	}
	nc, err := nats.Connect(l.url, o...)
	if err != nil {
		t.Fatalf("%s: %v", user, err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// listen has every user hear what it may: a subject that reaches nobody changes
// nothing that anybody believes.
func (l *prober) listen(t *testing.T) {
	t.Helper()
	l.heard = make(chan string, 1<<16)
	for user, subjects := range map[string][]string{
		"relay": {"_INBOX_SINE_RELAY.>"}, "admin": {"_INBOX.>"}, "operator": {"_INBOX.operator"}, "consumer": {"_INBOX.consumer"},
		"decider": {"visitors.v1.ask.hq.default q", "$SRV.*", "$SRV.*.sine-relay-decider"},
	} {
		nc := l.connect(t, user)
		for _, subject := range subjects {
			subject, queue, _ := strings.Cut(subject, " ")
			if _, err := nc.QueueSubscribe(subject, queue, func(*nats.Msg) { l.heard <- subject }); err != nil {
				t.Fatal(err)
			}
		}
		if err := nc.Flush(); err != nil || nc.LastError() != nil {
			t.Fatalf("%s cannot listen: %v %v", user, err, nc.LastError())
		}
		l.ears = append(l.ears, nc)
	}
}

var streams = []string{"VISITORS", "VISITOR_DECISIONS", "VISITOR_QUARANTINE", "VISITOR_DESK", "KV_VISITOR_ORDERS"}

// goals are subjects of every kind that somebody could want to reach.
var goals = []string{
	"visitors.v1.ask.hq.default", "visitors.v1.event.hq.checked_in", "visitors.v1.decision.hq.accepted", "visitors.v1.quarantine.hq", "visitors.v1.audit.hq.reveal",
	"$KV.VISITOR_ORDERS.lockdown.all", "$KV.VISITOR_ORDERS.override.all", "$KV.VISITOR_ORDERS.override.site.hq",
	"_INBOX_SINE_RELAY.x.y", "_INBOX.x.y", "_INBOX.operator", "_INBOX.consumer",
	"$SRV.PING", "$SRV.STATS.sine-relay-decider", "$SRV.INFO", "$JS.ACK.VISITORS.badges.1.1.1.1.0",
}

// requests are what can be asked of JetStream, for each stream, with what makes it
// do something.
func requests() map[string][]string {
	all := map[string][]string{"$JS.API.INFO": {""}, "$JS.API.STREAM.NAMES": {""}, "$JS.API.STREAM.LIST": {""}}
	for _, s := range streams {
		subject := map[string]string{"VISITORS": "visitors.v1.event.", "VISITOR_DECISIONS": "visitors.v1.decision.", "VISITOR_QUARANTINE": "visitors.v1.quarantine.", "VISITOR_DESK": "visitors.v1.audit.", "KV_VISITOR_ORDERS": "$KV.VISITOR_ORDERS."}[s]
		pull := fmt.Sprintf(`{"stream_name":%q,"config":{"name":"trial","durable_name":"trial","ack_policy":"explicit","filter_subject":"%s>"}}`, s, subject)
		pushes := []string{}
		for i, goal := range goals {
			group := ""
			if strings.Contains(goal, ".ask.") {
				group = `"deliver_group":"q",` // as the decider has it
			}
			pushes = append(pushes, fmt.Sprintf(`{"stream_name":%q,"config":{"name":"push%d","deliver_subject":%q,%s"ack_policy":"none","filter_subject":"%s>"}}`, s, i, goal, group, subject))
		}
		all["$JS.API.CONSUMER.CREATE."+s+".trial."+subject+">"] = []string{pull}
		for i := range goals {
			all[fmt.Sprintf("$JS.API.CONSUMER.CREATE.%s.push%d.%s>", s, i, subject)] = []string{pushes[i]}
		}
		// With several filters or none, the subject does not say which.
		all["$JS.API.CONSUMER.CREATE."+s+".trial"] = []string{fmt.Sprintf(`{"stream_name":%q,"config":{"name":"trial","ack_policy":"none"}}`, s)}
		for i := range goals {
			all[fmt.Sprintf("$JS.API.CONSUMER.CREATE.%s.push%d", s, i)] = []string{strings.Replace(pushes[i], `,"filter_subject"`, `,"description"`, 1)}
		}
		all["$JS.API.CONSUMER.CREATE."+s] = []string{strings.Replace(pushes[0], `"name":"push0",`, "", 1)}
		all["$JS.API.CONSUMER.DURABLE.CREATE."+s+".trial"] = []string{pull}
		for _, c := range []string{"badges", "trial"} {
			all["$JS.API.CONSUMER.MSG.NEXT."+s+"."+c] = []string{`{"batch":2,"expires":100000000}`}
			all["$JS.API.CONSUMER.INFO."+s+"."+c] = []string{""}
		}
		all["$JS.API.CONSUMER.DELETE."+s+".x"] = []string{""}
		all["$JS.API.CONSUMER.NAMES."+s], all["$JS.API.CONSUMER.LIST."+s] = []string{""}, []string{""}
		for _, verb := range []string{"INFO", "PURGE", "SNAPSHOT"} {
			all["$JS.API.STREAM."+verb+"."+s] = []string{`{}`}
		}
		all["$JS.API.STREAM.CREATE."+s] = []string{fmt.Sprintf(`{"name":%q,"subjects":["elsewhere"]}`, s)}
		all["$JS.API.STREAM.UPDATE."+s] = []string{fmt.Sprintf(`{"name":%q,"subjects":[%q],"max_msgs":1}`, s, subject+">")}
		all["$JS.API.STREAM.MSG.GET."+s], all["$JS.API.STREAM.MSG.DELETE."+s] = []string{`{"seq":1}`}, []string{`{"seq":1}`}
		all["$JS.API.STREAM.DELETE."+s] = []string{""}
		all["$JS.API.DIRECT.GET."+s] = []string{`{"seq":1}`, `{"seq":1,"batch":2}`}
		all["$JS.API.DIRECT.GET."+s+"."+subject+"hq.checked_in"] = []string{""}
	}
	for _, goal := range goals {
		all[goal] = []string{`{"kind":"override","site":"*"}`}
	}
	return all
}

// examine has each user try everything, and compares what changed.
func (l *prober) examine(t *testing.T, users []string, more map[string][]effect) {
	l.admin = l.connect(t, "admin")
	l.listen(t)
	for _, user := range users {
		may := slices.Concat(mayChange[user], more[user])
		t.Run(user, func(t *testing.T) { l.try(t, user, may) })
	}
}

// fill puts a message into each stream.
func (l *prober) fill(t *testing.T) {
	t.Helper()
	relay, operator, desk := l.connect(t, "relay"), l.connect(t, "operator"), l.connect(t, "desk")
	for subject, nc := range map[string]*nats.Conn{
		"visitors.v1.event.hq.checked_in": relay, "visitors.v1.decision.hq.accepted": relay, "visitors.v1.quarantine.hq": relay,
		"$KV.VISITOR_ORDERS.lockdown.site.x": operator, "visitors.v1.audit.hq.reveal": desk,
	} {
		for range 3 {
			if _, err := nc.Request(subject, []byte(`{"kind":"override","site":"*"}`), patience); err != nil {
				t.Fatalf("%s: %v", subject, err)
			}
		}
	}
}

// try lets a user do everything that it can, with each reply subject.
func (l *prober) try(t *testing.T, user string, may []effect) {
	nc := l.connect(t, user)
	happened := map[string]bool{}
	all := requests()
	l.fill(t)
	for stream, last := range l.state(t).last { // what others deleted cannot be deleted again
		all["$JS.API.STREAM.MSG.DELETE."+stream] = []string{fmt.Sprintf(`{"seq":%d}`, last)}
	}
	for _, subject := range slices.Sorted(maps.Keys(all)) {
		for _, payload := range all[subject] {
			if !l.permitted(t, nc, subject) {
				continue
			}
			for _, reply := range append([]string{""}, goals...) {
				before := l.state(t)
				l.send(t, nc, subject, reply, payload)
				for _, what := range l.changes(t, before) {
					happened[what] = true
					if !slices.ContainsFunc(may, func(e effect) bool { return e.covers(what) }) {
						t.Errorf("%s publishes %s to %s with the reply subject %q, and: %s", user, payload, subject, reply, what)
					}
				}
			}
		}
	}
	for _, e := range may {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(happened)), e.covers) {
			t.Errorf("%s may change %q by the table, and nothing did: it says too much, or the test tries too little", user, e.what)
		}
	}
}

func (e effect) covers(what string) bool {
	kind, subject, _ := strings.Cut(e.what, " ")
	k, s, _ := strings.Cut(what, " ")
	return kind == k && (subject == s || server.SubjectsCollide(subject, s))
}

// permitted tries a subject. What follows it in the order of the connection tells.
func (l *prober) permitted(t *testing.T, nc *nats.Conn, subject string) bool {
	t.Helper()
	probe, err := nats.Connect(l.url, l.options(nameOf(nc)), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer probe.Close()
	if err := probe.Publish(subject, nil); err != nil {
		t.Fatal(err)
	}
	if err := probe.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
	refused := probe.LastError()
	l.changes(t, l.state(t))
	return refused == nil
}

func nameOf(nc *nats.Conn) string { return nc.Opts.User }

// send publishes, and waits for the answer to the same request behind it.
func (l *prober) send(t *testing.T, nc *nats.Conn, subject, reply, payload string) {
	t.Helper()
	if err := nc.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: []byte(payload)}); err != nil {
		t.Fatal(err)
	}
	if reply == "" {
		if err := nc.FlushTimeout(patience); err != nil {
			t.Fatal(err)
		}
	}
	// Whether it is answered, too late or not at all tells nothing here.
	_, _ = nc.Request(subject, []byte(payload), 50*time.Millisecond)
}

// state is what there is: the last sequence number of each stream, and a text of
// everything else about it.
type state struct {
	last map[string]uint64
	rest map[string]string
}

func (l *prober) state(t *testing.T) state {
	t.Helper()
	now := state{map[string]uint64{}, map[string]string{}}
	for _, s := range streams {
		var info struct {
			Config json.RawMessage `json:"config"`
			State  struct {
				Last     uint64 `json:"last_seq"`
				Messages uint64 `json:"messages"`
			} `json:"state"`
		}
		l.ask(t, "$JS.API.STREAM.INFO."+s, "", &info)
		now.last[s] = info.State.Last
		// By their progress: a pull that gets nothing changes nothing.
		var consumers struct {
			All []struct {
				Name                  string `json:"name"`
				Acknowledged, Pending json.RawMessage
				Delivered             json.RawMessage `json:"delivered"`
				AckFloor              json.RawMessage `json:"ack_floor"`
			} `json:"consumers"`
		}
		l.ask(t, "$JS.API.CONSUMER.LIST."+s, "", &consumers)
		for _, c := range consumers.All {
			now.rest[s] += fmt.Sprintln(c.Name, string(c.Delivered), string(c.AckFloor))
			if c.Name != "badges" { // or it would go on delivering
				l.ask(t, "$JS.API.CONSUMER.DELETE."+s+"."+c.Name, "", new(json.RawMessage))
			}
		}
		now.rest[s] += string(info.Config)
		if s != "KV_VISITOR_ORDERS" { // whose old entries go by themselves
			now.rest[s] += fmt.Sprint(info.State.Last - info.State.Messages)
		}
	}
	return now
}

func (l *prober) ask(t *testing.T, subject, body string, into any) {
	t.Helper()
	reply, err := l.admin.Request(subject, []byte(body), patience)
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	if err := json.Unmarshal(reply.Data, into); err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
}

// changes are the effects since a state.
func (l *prober) changes(t *testing.T, before state) (all []string) {
	t.Helper()
	after := l.state(t)
	for s, last := range after.last {
		for sequence := before.last[s] + 1; sequence <= last; sequence++ {
			var got struct {
				Message struct {
					Subject string `json:"subject"`
				} `json:"message"`
			}
			l.ask(t, "$JS.API.STREAM.MSG.GET."+s, fmt.Sprintf(`{"seq":%d}`, sequence), &got)
			all = append(all, s+" "+got.Message.Subject)
		}
	}
	for s, rest := range after.rest {
		if rest != before.rest[s] {
			all = append(all, s+" changed")
		}
	}
	for _, ear := range l.ears {
		if err := ear.FlushTimeout(patience); err != nil {
			t.Fatal(err)
		}
	}
	for {
		select {
		case subject := <-l.heard:
			all = append(all, "heard "+subject)
		default:
			slices.Sort(all)
			return slices.Compact(all)
		}
	}
}
