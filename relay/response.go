package relay

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// result is how an exchange ended. Its values are metric labels.
type result string

const (
	resultAccepted result = "accepted"
	resultRejected result = "rejected"
	// The policy's situations without a decision are results of the same name; see
	// situationResult.

	resultStored      result = "stored"
	resultDuplicate   result = "duplicate"
	resultSpooled     result = "spooled"
	resultQuarantined result = "quarantined"
	resultRefused     result = "refused"
	resultTooLarge    result = "too_large"
	resultEncoding    result = "unknown_encoding"
	// resultIncomplete is answered by a text of its own, and counted as
	// resultQuarantined: what came of the body is kept, and the rest is not.
	resultIncomplete result = "body_incomplete"

	resultUnauthorized     result = "unauthorized"
	resultBlocked          result = "blocked"
	resultPlainHTTP        result = "plain_http"
	resultNotFound         result = "not_found"
	resultMethodNotAllowed result = "method_not_allowed"
	resultDisconnected     result = "client_disconnected"
	resultPanicked         result = "panicked"
)

func situationResult(s policy.Situation) result { return result(s) }

// authenticated reports whether it is the result of an authenticated webhook.
func (res result) authenticated() bool {
	switch res {
	case resultUnauthorized, resultBlocked, resultPlainHTTP, resultNotFound, resultMethodNotAllowed:
		return false
	default:
		return true
	}
}

// responseTable is the one table from a result to status, log level and the body of an
// error. Where code is empty, the body is made elsewhere.
var responseTable = map[result]struct {
	status  int
	level   slog.Level
	code    string
	message string
	header  map[string]string
}{
	resultAccepted: {status: http.StatusOK, level: slog.LevelInfo},
	resultRejected: {status: http.StatusOK, level: slog.LevelInfo},

	situationResult(policy.NoDecider):    {status: http.StatusOK, level: slog.LevelWarn},
	situationResult(policy.Timeout):      {status: http.StatusOK, level: slog.LevelWarn},
	situationResult(policy.Disconnected): {status: http.StatusOK, level: slog.LevelWarn},
	situationResult(policy.Denied):       {status: http.StatusOK, level: slog.LevelError},
	situationResult(policy.BadReply):     {status: http.StatusOK, level: slog.LevelWarn},
	situationResult(policy.Overloaded):   {status: http.StatusOK, level: slog.LevelWarn},
	situationResult(policy.Incomplete):   {status: http.StatusOK, level: slog.LevelWarn},

	situationResult(policy.Unasked):    {status: http.StatusOK, level: slog.LevelInfo},
	situationResult(policy.LockedDown): {status: http.StatusOK, level: slog.LevelInfo},
	situationResult(policy.Overridden): {status: http.StatusOK, level: slog.LevelInfo},

	situationResult(policy.OrdersUnknown): {status: http.StatusOK, level: slog.LevelWarn},

	resultStored:      {status: http.StatusOK, level: slog.LevelInfo},
	resultDuplicate:   {status: http.StatusOK, level: slog.LevelInfo},
	resultSpooled:     {status: http.StatusOK, level: slog.LevelWarn},
	resultQuarantined: {http.StatusBadRequest, slog.LevelWarn, "UNREADABLE", "The body is not a webhook that can be read. It was kept for inspection.", nil},
	resultIncomplete:  {http.StatusRequestTimeout, slog.LevelWarn, "INCOMPLETE", "The body did not arrive completely. Please send it again.", nil},
	resultRefused:     {http.StatusServiceUnavailable, slog.LevelError, "UNAVAILABLE", "The event could not be stored. Please send it again.", retryAfter},
	resultTooLarge:    {http.StatusRequestEntityTooLarge, slog.LevelError, "TOO_LARGE", "The body exceeds the size limit.", nil},
	resultEncoding: {http.StatusUnsupportedMediaType, slog.LevelError, "UNKNOWN_ENCODING", "The content encoding of the body is not supported. Supported are gzip and deflate.",
		map[string]string{"Accept-Encoding": acceptEncoding}},

	resultUnauthorized: {http.StatusUnauthorized, slog.LevelWarn, "UNAUTHORIZED", "The API key is missing or wrong.", nil},
	resultBlocked:      {http.StatusTooManyRequests, slog.LevelDebug, "TOO_MANY_FAILURES", "Too many requests with a missing or wrong API key.", retryAfter},
	resultPlainHTTP:    {http.StatusForbidden, slog.LevelWarn, "PLAIN_HTTP", "Requests must use HTTPS.", nil},
	resultNotFound:     {http.StatusNotFound, slog.LevelDebug, "NOT_FOUND", "The path is unknown.", nil},
	resultMethodNotAllowed: {http.StatusMethodNotAllowed, slog.LevelDebug, "METHOD_NOT_ALLOWED", "The method must be POST.",
		map[string]string{"Allow": http.MethodPost}},
	resultPanicked:     {http.StatusInternalServerError, slog.LevelError, "INTERNAL", "An internal error occurred.", nil},
	resultDisconnected: {level: slog.LevelWarn},
}

var retryAfter = map[string]string{"Retry-After": "1"}

// kindResults lists the results that each kind of webhook can have, so that
// every counter exists from the start.
var kindResults = map[string][]result{
	string(visit.KindCheckInRequest): {
		resultAccepted, resultRejected, situationResult(policy.NoDecider), situationResult(policy.Timeout), situationResult(policy.Disconnected),
		situationResult(policy.Denied), situationResult(policy.BadReply), situationResult(policy.Overloaded),
		situationResult(policy.Incomplete), situationResult(policy.Unasked), situationResult(policy.LockedDown), situationResult(policy.Overridden),
		situationResult(policy.OrdersUnknown), resultQuarantined, resultRefused,
		resultTooLarge, resultEncoding, resultDisconnected, resultPanicked,
	},
	string(visit.KindCheckedIn):  eventResults,
	string(visit.KindCheckedOut): eventResults,
	unknown:                      {resultQuarantined, resultRefused, resultTooLarge, resultEncoding, resultDisconnected, resultPanicked},
}

var eventResults = []result{resultStored, resultDuplicate, resultSpooled, resultQuarantined, resultRefused, resultTooLarge, resultEncoding, resultDisconnected, resultPanicked}

// response is what Sine gets.
type response struct {
	result result
	status int
	header map[string]string
	body   []byte
}

// errorResponse is the fixed response of a result. No error's text ever reaches a
// client.
func errorResponse(res result) response {
	row := responseTable[res]
	if res == resultIncomplete {
		res = resultQuarantined
	}
	return response{result: res, status: row.status, header: row.header, body: encode(struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{row.code, row.message})}
}

// eventResponse says that an event is safe.
func eventResponse(res result, eventID string) response {
	return response{result: res, status: responseTable[res].status, body: encode(struct {
		Code    string `json:"code"`
		EventID string `json:"eventId"`
	}{"SUCCESS", eventID})}
}

func encode(strings any) []byte {
	body, err := json.Marshal(strings)
	if err != nil {
		panic(err) // strings always encode
	}
	return body
}

// checkInResponse is the integration's template, filled.
func (in *Integration) checkInResponse(d policy.Decision, requestID string) response {
	template, status := in.Accept, responseTable[resultAccepted].status
	if d.Verdict == visit.Reject {
		template = in.Reject
		if in.RejectMode == RejectByStatus {
			status = http.StatusForbidden
		}
	}
	return response{result: checkInResult(d), status: status, body: template.fill(d.Decision, visit.Reference(requestID))}
}

func checkInResult(d policy.Decision) result {
	switch {
	case d.Situation != policy.Decided:
		return situationResult(d.Situation)
	case d.Verdict == visit.Reject:
		return resultRejected
	default:
		return resultAccepted
	}
}
