package visit

import (
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // in an image without a zone database, every time would be UTC
)

// ErrNoTimeZone is returned by [Origin.LocalTime] for what was written by a relay
// that did not say the site's time zone.
var ErrNoTimeZone = errors.New("the time zone of the site is missing")

// LocalTime is Time as a clock on the site's wall shows it: go by it for hours,
// weekdays and dates. Where Sine writes UTC, Time has those of UTC. It fails where
// TimeZone is empty or not known to this program.
func (o Origin) LocalTime() (time.Time, error) {
	if o.TimeZone == "" {
		return time.Time{}, ErrNoTimeZone
	}
	zone, err := time.LoadLocation(o.TimeZone)
	if err != nil {
		return time.Time{}, fmt.Errorf("time zone of the site: %w", err)
	}
	return o.Time.In(zone), nil
}
