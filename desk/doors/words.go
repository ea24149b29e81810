package doors

import (
	"strconv"
	"time"
)

// Clock writes a time for people, in a zone: as short as it is clear.
func Clock(t, now time.Time, zone *time.Location) string {
	t, now = t.In(zone), now.In(zone)
	year, month, date := now.Date()
	midnight := time.Date(year, month, date, 0, 0, 0, 0, zone)
	switch {
	case t.IsZero():
		return "never"
	case !t.Before(midnight) && t.Before(midnight.AddDate(0, 0, 1)):
		return t.Format("15:04:05")
	case t.After(midnight.AddDate(0, 0, -6)) && t.Before(now):
		return t.Format("Mon 15:04")
	default:
		return t.Format("2006-01-02 15:04")
	}
}

func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}
