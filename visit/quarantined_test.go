package visit_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestQuarantined_RoundTripsThroughAMessage(t *testing.T) {
	at := time.Date(2026, 11, 18, 21, 42, 32, 5e6, time.UTC)
	for _, q := range []visit.Quarantined{
		{RequestID: "K7Q2M", Site: "hq", Integration: "lobby", Reason: visit.ReasonNotJSON, Received: at, Body: []byte("hello")},
		{RequestID: "K7Q2M", Site: "hq", Integration: "lobby", Reason: visit.ReasonIncomplete, Kind: visit.KindCheckedIn, Received: at, TimeZone: "Australia/Adelaide", Synthetic: true, Cut: true, Body: []byte{0xff}},
		{RequestID: "K7Q2M", Site: "hq", Integration: "lobby", Reason: visit.ReasonTooLarge, Received: at, ContentLength: 1 << 40, Cut: true, Body: []byte("{")},
		{RequestID: "K7Q2M", Site: "hq", Integration: "lobby", Reason: visit.ReasonTooLarge, Received: at, ContentEncoding: "deflate, gzip", Body: []byte{0x1f, 0x8b}},
		{RequestID: "K7Q2M", Site: "hq", Integration: "lobby", Reason: visit.ReasonRefused, Received: at, EventID: "0011", RefusedSubject: "visitors.v1.event.hq.checked_in", Body: []byte("{}")},
	} {
		m := q.Message(visit.Subjects{Prefix: "acme.visitors"})
		back, err := visit.ParseQuarantined(m.Subject, m.Header, m.Data)
		if err != nil || !reflect.DeepEqual(back, q) {
			t.Errorf("%+v came back as %+v, %v", q, back, err)
		}
		if marked := m.Header[visit.HeaderCut] != nil; marked != q.Cut {
			t.Errorf("%s is marked as cut: %v", q.Reason, marked)
		}
		if m.ID == "" || m.Header[visit.HeaderMsgID][0] != m.ID {
			t.Errorf("%s has the id %v", q.Reason, m.Header[visit.HeaderMsgID])
		}
	}
}

func TestQuarantined_AMessageWithoutItsHeadersIsInvalid(t *testing.T) {
	good := (&visit.Quarantined{RequestID: "K7Q2M", Site: "hq", Integration: "lobby", Reason: visit.ReasonNotJSON}).Message(visit.Subjects{})
	for _, name := range []string{visit.HeaderRequestID, visit.HeaderIntegration, visit.HeaderReason, visit.HeaderReceived} {
		delete(good.Header, name)
		if _, err := visit.ParseQuarantined(good.Subject, good.Header, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
		good.Header[name] = []string{"x"}
	}
}
