// Package quarantine sorts what the relays could not understand, so that somebody sees
// what to mend: how much there is of what, since when, and what it looks like. Of a body it
// keeps the names of keys, and never a value. A key may be somebody's name: those that are
// not known are kept only where somebody may see what was sent.
package quarantine

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	maxGroups    = 500
	maxShapes    = 4  // of a group
	maxKeys      = 60 // of a shape
	maxDepth     = 5
	maxShapeBody = 64 << 10 // a larger body is described by its size alone
)

// Group is what came to one integration for one reason.
type Group struct {
	Site, Integration string
	Reason            visit.Reason
	Count, Bytes      int
	First, Last       time.Time
	// Newest is the sequence of the message that was stored last.
	Newest uint64
	// Shapes are what the bodies look like, the most frequent first, at most a few.
	Shapes []Shape
	// Cut counts those of which the relay kept the beginning only.
	Cut int

	shapes map[string]int
}

// Shape is what bodies look like.
type Shape struct {
	Text  string
	Count int
}

// Groups sorts messages into groups. Its zero value is empty.
type Groups struct {
	// EveryKey says at which sites also keys are shown that are not known. Nil is none.
	EveryKey func(site string) bool
	all      map[group]*Group
	// Total counts the messages.
	Total int
}

type group struct {
	site, integration string
	reason            visit.Reason
}

// Add counts a message. One of a group for which there is no room is counted in Total
// alone.
func (g *Groups) Add(sequence uint64, q *visit.Quarantined) {
	g.Total++
	if g.all == nil {
		g.all = map[group]*Group{}
	}
	key := group{q.Site, q.Integration, q.Reason}
	one := g.all[key]
	if one == nil {
		if len(g.all) >= maxGroups {
			return
		}
		one = &Group{Site: q.Site, Integration: q.Integration, Reason: q.Reason, First: q.Received, shapes: map[string]int{}}
		g.all[key] = one
	}
	one.Count++
	one.Bytes += len(q.Body)
	if q.Received.After(one.Last) {
		one.Last = q.Received
	}
	if q.Cut {
		one.Cut++
	}
	one.Newest = max(one.Newest, sequence)
	keys := KnownKeys
	if g.EveryKey != nil && g.EveryKey(q.Site) {
		keys = FieldNames
	}
	shape := ShapeOf(q, keys)
	if _, known := one.shapes[shape]; known || len(one.shapes) < maxShapes {
		one.shapes[shape]++
	}
}

// List returns the groups, that with the newest message first.
func (g *Groups) List() []Group {
	var all []Group
	for _, one := range g.all {
		for text, n := range one.shapes {
			one.Shapes = append(one.Shapes, Shape{text, n})
		}
		slices.SortFunc(one.Shapes, func(a, b Shape) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Text, b.Text)) })
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b Group) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Site, b.Site), cmp.Compare(a.Integration, b.Integration), cmp.Compare(a.Reason, b.Reason))
	})
	return all
}

// Keys says which keys of a body are shown.
type Keys int

const (
	// KnownKeys are those that Sine and comparable products are known to use.
	KnownKeys Keys = iota
	// FieldNames are all that look like the name of a field.
	FieldNames
)

// ShapeOf describes a body by the names of its keys.
func ShapeOf(q *visit.Quarantined, shown Keys) string {
	switch {
	case len(q.Body) == 0:
		return "nothing"
	case q.ContentEncoding != "":
		return "encoded data"
	case len(q.Body) > maxShapeBody:
		return fmt.Sprintf("more than %d KiB", maxShapeBody>>10)
	}
	keys, err := keysOf(q.Body, shown)
	switch {
	case err != nil && len(keys) == 0:
		return "not JSON"
	case len(keys) == 0:
		return "JSON without keys"
	}
	paths := slices.Sorted(maps.Keys(keys))
	text := ""
	if len(paths) > maxKeys {
		paths, text = paths[:maxKeys], " and more"
	}
	text = strings.Join(paths, ", ") + text
	if err != nil {
		text += " and then something that is not JSON"
	}
	return text
}

// keysOf returns the paths of the keys, as far as a body can be read.
func keysOf(body []byte, shown Keys) (map[string]bool, error) {
	found := map[string]bool{}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	err := readValue(d, "", 0, shown, found)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return found, nil
		}
		err = fmt.Errorf("more than one value")
	}
	return found, err
}

func readValue(d *json.Decoder, path string, depth int, shown Keys, found map[string]bool) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	if depth > 100 {
		return fmt.Errorf("nested too deep")
	}
	for d.More() {
		at := path + "[]"
		if delim == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			at = join(path, shown.text(name))
			if depth < maxDepth && len(found) <= maxKeys {
				found[at] = true
			}
		}
		if err := readValue(d, at, depth+1, shown, found); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// aField is what the names of fields look like. A question, a name of two words or a
// number that serves as a key does not, and is masked: it may be a value.
var aField = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$-]*$`)

// maxField is how long the name of a field may be.
const maxField = 40

// manyDigits may be a telephone number.
var manyDigits = regexp.MustCompile(`[0-9].*[0-9].*[0-9].*[0-9]`)

// known are the keys that are shown to everybody: none of them is somebody's name.
var known = func() map[string]bool {
	all := map[string]bool{}
	for key := range strings.FieldsSeq(`
		event eventType eventName date timestamp eventDate eventTime occurredAt data payload body
		visitId passId pass id visit signInId checkInId externalId visitor guest person visitorId guestId personId
		firstName givenName forename lastName familyName surname fullName visitorName guestName name
		email emailAddress mobile mobileNumber mobilePhone phone phoneNumber
		photoURL photoUrl photo pictureUrl imageUrl company companyName visitorCompany organisation organization
		organisationName organizationName employer passType visitorType visitType type
		host hostFirstName hostLastName hostName hostGroupName groupName group department hostGroup
		formResponses responses answers label question title value answer response status checkOutReason signOutReason
		site siteId siteName location locationId message error code version`) {
		all[key] = true
	}
	return all
}()

// text is what is shown of a key.
func (k Keys) text(key string) string {
	switch {
	case known[key]:
		return key
	case k == KnownKeys:
		return "(another key)"
	case len(key) > maxField || !aField.MatchString(key) || manyDigits.MatchString(key):
		return "(a key that is not the name of a field)"
	default:
		return key
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
