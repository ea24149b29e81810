// Package quarantine sorts what the relays could not understand, so that somebody sees
// what to mend: how much there is of what, since when, and what it looks like. Of a body it
// keeps the names of keys, and never a value.
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
	all map[group]*Group
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
	shape := ShapeOf(q)
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

// ShapeOf describes a body by the names of its keys.
func ShapeOf(q *visit.Quarantined) string {
	switch {
	case len(q.Body) == 0:
		return "nothing"
	case q.ContentEncoding != "":
		return "encoded data"
	case len(q.Body) > maxShapeBody:
		return fmt.Sprintf("more than %d KiB", maxShapeBody>>10)
	}
	keys, err := keysOf(q.Body)
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
func keysOf(body []byte) (map[string]bool, error) {
	found := map[string]bool{}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	err := readValue(d, "", 0, found)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return found, nil
		}
		err = fmt.Errorf("more than one value")
	}
	return found, err
}

func readValue(d *json.Decoder, path string, depth int, found map[string]bool) error {
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
			at = join(path, name)
			if depth < maxDepth && len(found) <= maxKeys {
				found[at] = true
			}
		}
		if err := readValue(d, at, depth+1, found); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// aField is what the names of fields look like. A question, a name of two words or a
// number that serves as a key does not, and is masked: it may be a value.
var aField = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$-]{0,39}$`)

// manyDigits may be a telephone number.
var manyDigits = regexp.MustCompile(`[0-9].*[0-9].*[0-9].*[0-9]`)

func join(path, key string) string {
	if !aField.MatchString(key) || manyDigits.MatchString(key) {
		key = "(a key that is not the name of a field)"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
