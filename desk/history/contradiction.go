package history

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Contradiction is a visit that was rejected and then checked in, without an acceptance
// in between. It is seen only where Sine sends an id of the visit with both: nothing is
// guessed from names or times. Tests of operators are none.
type Contradiction struct {
	Site string
	// RequestID and Reference are those of the last rejection before the check-in.
	RequestID, Reference string
	// Rejected and CheckedIn are when the relay received the one and the other.
	Rejected, CheckedIn time.Time

	sequence uint64 // of the rejection's record
}

// SiteContradictions are those of one site.
type SiteContradictions struct {
	Site   string
	Number int
	Newest []Contradiction
}

const (
	// maxRejected bounds how many rejections are remembered.
	maxRejected = 10_000
	// maxNewest bounds how many contradictions of a site are named, and how many
	// check-ins of one visit are looked at.
	maxNewest = 10
)

// visitID identifies a visit: nobody says that Sine's ids differ between sites.
type visitID struct{ site, key string }

func idOf(site string, key visit.VisitKey) (visitID, bool) {
	return visitID{site, key.Value}, key.FromSine()
}

// contradictions finds them: it is given rejections, then check-ins, then acceptances.
// Within each, the order does not matter, since each relay stores by itself.
type contradictions struct {
	rejected map[visitID][]Contradiction // without their check-in
	kept     int
	full     bool // there were more rejections than are remembered
	found    map[visitID][]Contradiction
}

func (c *contradictions) reject(sequence uint64, r *visit.Record) {
	id, known := idOf(r.Site, r.Visit)
	if !known || r.Synthetic || r.Verdict != visit.Reject {
		return
	}
	if c.kept == maxRejected {
		c.full = true
		return
	}
	if c.rejected == nil {
		c.rejected = map[visitID][]Contradiction{}
	}
	c.kept++
	c.rejected[id] = append(c.rejected[id], Contradiction{Site: r.Site, RequestID: r.RequestID, Reference: r.Reference, Rejected: r.Received, sequence: sequence})
}

func (c *contradictions) checkIn(e *visit.Event) {
	id, known := idOf(e.Site, e.Visit)
	if !known || e.Synthetic || e.Kind != visit.KindCheckedIn || e.IsCorrection() {
		return
	}
	var last Contradiction
	for _, r := range c.rejected[id] {
		if !r.Rejected.After(e.Received) && r.Rejected.After(last.Rejected) {
			last = r
		}
	}
	if last.Rejected.IsZero() || len(c.found[id]) == maxNewest {
		return
	}
	if c.found == nil {
		c.found = map[visitID][]Contradiction{}
	}
	last.CheckedIn = e.Received
	c.found[id] = append(c.found[id], last)
}

func (c *contradictions) accept(r *visit.Record) {
	id, _ := idOf(r.Site, r.Visit)
	if len(c.found[id]) == 0 || r.Verdict == visit.Reject {
		return
	}
	c.found[id] = slices.DeleteFunc(c.found[id], func(f Contradiction) bool {
		return r.Received.After(f.Rejected) && !r.Received.After(f.CheckedIn)
	})
}

// list has the first contradiction of each visit, in the order of the check-ins.
func (c *contradictions) list() (all []Contradiction) {
	for _, found := range c.found {
		if len(found) > 0 {
			all = append(all, slices.MinFunc(found, inOrder))
		}
	}
	slices.SortFunc(all, inOrder)
	return all
}

func inOrder(a, b Contradiction) int {
	return cmp.Or(a.CheckedIn.Compare(b.CheckedIn), cmp.Compare(a.sequence, b.sequence))
}

// Contradictions are those of what was found.
func (v *Visit) Contradictions() []Contradiction {
	var c contradictions
	for i := range v.Records {
		c.reject(uint64(i), &v.Records[i])
	}
	for i := range v.Events {
		c.checkIn(&v.Events[i])
	}
	for i := range v.Records {
		c.accept(&v.Records[i])
	}
	return c.list()
}

// complete adds the check-ins that may follow the rejections, and then whether there was
// an acceptance. It asks for none where Sine names no visit in its check-in requests.
func (c *contradictions) complete(ctx context.Context, r Reader, f Filter) (checkIns Extent, err error) {
	if len(c.rejected) == 0 {
		return checkIns, nil
	}
	checkIns.Since, checkIns.Reading, err = r.CheckIns(ctx, f.From, f.To.Add(around), c.checkIn)
	if err != nil || len(c.found) == 0 {
		return checkIns, err
	}
	_, _, err = r.Decisions(ctx, f.From, f.To.Add(around), func(_ uint64, record *visit.Record) { c.accept(record) })
	return checkIns, err
}

// identify adds the ids of the rejections. Those that are not stored any more are left out.
func identify(ctx context.Context, r Reader, sites []SiteContradictions) error {
	for i := range sites {
		var places []place
		for _, c := range sites[i].Newest {
			places = append(places, place{c.sequence, c.Site, c.Rejected})
		}
		stored, err := records(ctx, r, places)
		if err != nil {
			return err
		}
		var newest []Contradiction
		for _, c := range sites[i].Newest {
			if record, there := stored[c.sequence]; there {
				c.RequestID, c.Reference = record.RequestID, record.Reference
				newest = append(newest, c)
			}
		}
		sites[i].Newest = newest
	}
	return nil
}

func sitesOf(all map[visitID][]Contradiction) (sites []string) {
	for id := range all {
		sites = append(sites, id.site)
	}
	slices.Sort(sites)
	return slices.Compact(sites)
}

// bySite counts them, the newest of each site first.
func (c *contradictions) bySite() (sites []SiteContradictions) {
	all := c.list()
	for _, site := range sitesOf(c.found) {
		s := SiteContradictions{Site: site}
		for _, found := range slices.Backward(all) {
			if found.Site != site {
				continue
			}
			if s.Number++; s.Number <= maxNewest {
				s.Newest = append(s.Newest, found)
			}
		}
		if s.Number > 0 {
			sites = append(sites, s)
		}
	}
	return sites
}
