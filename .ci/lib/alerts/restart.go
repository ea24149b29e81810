package main

import "time"

// restart: all relays start anew at one moment, and what they count with them. A field that
// nearly all bodies had the day before, and none has had since, was renamed meanwhile.
func restart() check {
	const at = 1500 // minutes, of 3,100
	w := newWorld(10*time.Minute, 3100)
	for _, pod := range headquarters.pods {
		fields := func(site, field string, before, after float64) {
			for result, share := range map[string][2]float64{"found": {before, after}, "missing": {1 - before, 1 - after}} {
				if share == [2]float64{0, 0} {
					continue
				}
				w.counter("sine_relay_fields_total", lobby(pod, site).with(labels{"field": field, "result": result}), func(m minute) float64 {
					switch {
					case m < at:
						return share[0] / 50
					case share[1] == 0 || m == at: // the process has just started, or never found it
						return absent
					default:
						return share[1] / 50
					}
				})
			}
		}
		for _, site := range []string{"renamed", "as before", "half", "comes less"} {
			fields(site, "event", 1, 1)
		}
		fields("renamed", "company", 1, 0)
		fields("as before", "company", 1, 1)
		fields("half", "company", .5, 0)
		fields("comes less", "company", 1, .1)
		fields("nobody comes", "event", 1, 0)
		fields("nobody comes", "company", 1, 0)
	}
	fires := []string{named("FieldMissingSinceStart", labels{"integration": "renamed", "field": "company", "site": "unknown"})}
	return check{name: "a field is renamed while the relays restart", world: w, at: 2400, fires: fires, also: []moment{{1490, nil}, {1600, nil}, {2900, fires}}}
}
