package main

import (
	"fmt"
	"maps"
	"time"
)

// text is what the only alert of its name says at a moment.
type text struct {
	at                   minute
	alert, severity      string
	labels               labels
	summary, description string
	runbook              string
}

func (s text) test() alertTest {
	all := labels{"namespace": "visitors", "job": "sine-relay", "severity": s.severity}
	maps.Copy(all, s.labels)
	return alertTest{At: fmt.Sprintf("%gm", s.at), Name: "SineRelay" + s.alert, Alerts: []expectedAlert{{all, map[string]string{
		"summary": s.summary, "description": s.description,
		"runbook_url": "https://github.com/sine-relay/sine-relay/blob/main/deploy/runbooks/" + s.runbook + ".md",
	}}}}
}

// ofTexts are those in which the words matter: which numbers, of what, and where.
func ofTexts() []check {
	return []check{numbers(), expired()}
}

// numbers are whole, though increase() makes 3.2 of three.
func numbers() check {
	w := newWorld(time.Minute, 100)
	l := lobby("relay-0", "dock").with(labels{"pod": ""})
	w.gauge("sine_relay_integration_info", l.with(labels{"site": "harbour"}), always(1))
	w.counter("sine_relay_webhooks_total", l.with(asked("accepted")), between(0, 36, 0.5, 0))
	w.calls("sine_relay_webhooks_total", l.with(asked("timeout")), 38, 41, 44, 47)
	w.counter("sine_relay_webhooks_total", lobby("relay-0", "lobby").with(asked("accepted")), between(0, 50, 0.1, 0.5))
	w.calls("sine_relay_log_lines_lost_total", headquarters.labels("relay-0"), 40, 41, 42)
	return check{name: "what the texts say", world: w, at: 48, fires: append(
		[]string{named("CheckInsByFallback", labels{"integration": "dock", "site": "harbour"})}, named("LogLinesLost", ofRelay("relay-0", nil)),
	), says: []text{
		{48, "CheckInsByFallback", "critical", labels{"integration": "dock", "site": "harbour"},
			"Check-in requests of dock get no decision", "No check-in request of dock in the last minutes got a decision, about 3 without one.", "lobby-cannot-check-in"},
		{48, "LogLinesLost", "warning", ofRelay("relay-0", nil),
			"Lines of a relay's log are lost", "At relay-0, 10.0.0.0:9090, about 3 lines of the log within 15 minutes were not written: nobody reads it, its pipe is broken or its disk is full. Visitors are served all the same.", "log-is-lost"},
	}}
}

// expired: what is over has no time left, and not less than none.
func expired() check {
	w := newWorld(time.Minute, 60)
	certificate := headquarters.labels("relay-0").with(labels{"certificate": "public"})
	w.gauge("sine_relay_certificate_expiry_timestamp_seconds", certificate, between(0, 58, 50*60, month))
	shown := ofRelay("relay-0", labels{"certificate": "public"})
	says := func(at minute, what string) text {
		return text{at, "CertificateExpiresNow", "critical", shown, "The certificate public expires", "The certificate public of relay-0, 10.0.0.0:9090 " + what, "something-expires"}
	}
	return check{name: "what the texts say of a certificate", world: w, at: 30, fires: []string{named("CertificateExpires", shown), named("CertificateExpiresNow", shown)}, says: []text{
		says(20, "is valid for 30m 0s more."), says(55, "has expired, or its file cannot be read."),
	}}
}
