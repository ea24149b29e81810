package visit

import "cmp"

// IsCorrection reports whether e corrects another event.
func (e *Event) IsCorrection() bool { return e.Corrects != "" }

// OriginalID is the id of the event that Sine sent: the corrected one's where e is a
// correction, else that of e. It is the same for an event and all its corrections.
func (e *Event) OriginalID() string { return cmp.Or(e.Corrects, e.ID) }

// Supersedes reports whether e stands in the place of other: both are the same event or
// corrections of it, and e is the later one. That does not depend on the order in which
// they are delivered. Of two corrections with one Revision, as two operators make at
// once, the one with the greater ID is taken for the later.
func (e *Event) Supersedes(other *Event) bool {
	return e.OriginalID() == other.OriginalID() &&
		cmp.Or(cmp.Compare(e.Revision, other.Revision), cmp.Compare(e.ID, other.ID)) > 0
}

// Correct makes e the correction of an event, or of a correction, that it is to
// supersede: it sets ID, Corrects and Revision. The ID is derived from the id of the
// corrected event, and from all that the correction says but for its source: the same
// correction, made twice, has the same ID. The error is one of encoding e.
func (e *Event) Correct(current *Event) error {
	e.ID, e.Corrects, e.Revision = "", current.OriginalID(), current.Revision+1
	said := *e
	said.Source = nil
	content, err := MarshalEvent(&said)
	if err != nil {
		return err
	}
	e.ID = digest([]byte("correction"), []byte(e.Corrects), content)
	return nil
}
