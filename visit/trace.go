package visit

import (
	"regexp"
	"strings"
)

// Trace is what a trusted proxy in front of the relay calls a webhook call, so that
// its log and other teams' traces are found from the relay's. Both fields are empty
// where no such proxy said anything.
type Trace struct {
	// XRequestID is the proxy's X-Request-Id.
	XRequestID string `json:"xRequestId,omitempty"`
	// Traceparent is the header of that name in W3C Trace Context, version 00. The
	// relay makes no span of its own: a decider's span follows the proxy's.
	Traceparent string `json:"traceparent,omitempty"`
}

// The forms that are taken up. A proxy may pass on what a stranger sent: what is
// shorter than 16 characters, or has no digit, could be a name or a telephone number.
var (
	xRequestIDForm  = regexp.MustCompile(`^[A-Za-z0-9_.:-]{16,128}$`)
	traceparentForm = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)
)

// NewTrace returns a trace of those of the two values that have their form, and
// leaves out the others.
func NewTrace(xRequestID, traceparent string) (t Trace) {
	if xRequestIDForm.MatchString(xRequestID) && strings.ContainsAny(xRequestID, "0123456789") {
		t.XRequestID = xRequestID
	}
	parts := traceparentForm.FindStringSubmatch(traceparent)
	if parts != nil && strings.Trim(parts[1], "0") != "" && strings.Trim(parts[2], "0") != "" {
		t.Traceparent = traceparent
	}
	return t
}

// TraceID is the part of Traceparent that all spans of a trace share, or empty.
func (t Trace) TraceID() string {
	if parts := traceparentForm.FindStringSubmatch(t.Traceparent); parts != nil {
		return parts[1]
	}
	return ""
}

// TraceOf reads the headers that [Trace.Headers] returns.
func TraceOf(header map[string][]string) Trace {
	get := func(name string) string { return strings.Join(header[name], "") }
	return NewTrace(get(HeaderXRequestID), get(HeaderTraceparent))
}

// Headers has a header for each field that is not empty.
func (t Trace) Headers() map[string]string {
	h := map[string]string{}
	if t.XRequestID != "" {
		h[HeaderXRequestID] = t.XRequestID
	}
	if t.Traceparent != "" {
		h[HeaderTraceparent] = t.Traceparent
	}
	return h
}

// addTo adds the headers to those of a message.
func (t Trace) addTo(header map[string][]string) {
	for name, value := range t.Headers() {
		header[name] = []string{value}
	}
}
