package visit

// CheckInRequest is the question that a decider is asked while a visitor waits. The
// message also carries the headers [HeaderRequestID], [HeaderIntegration] and
// [HeaderTimeout]. It may come twice, with the same RequestID: then it also carries
// [HeaderAttempt].
type CheckInRequest struct {
	Origin
	Pass
	// Source is last on the wire; see [Event.Source].
	Source Source `json:"source,omitempty"`
}

// MarshalCheckInRequest returns the wire form of r. Source is spliced in byte for
// byte; the caller guarantees that it is valid JSON in UTF-8.
func MarshalCheckInRequest(r *CheckInRequest) ([]byte, error) {
	head := *r
	head.Source = nil
	return marshal(&head, r.Source)
}

// UnmarshalJSON reads the wire form and keeps Source byte for byte.
func (r *CheckInRequest) UnmarshalJSON(data []byte) error {
	type plain CheckInRequest
	if err := unmarshal(data, (*plain)(r)); err != nil {
		return err
	}
	r.Source = sourceBytes(data, r.Source)
	return nil
}
