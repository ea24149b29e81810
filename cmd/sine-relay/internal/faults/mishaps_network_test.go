//go:build linux && faults

package faults

import "time"

// under has bad weather between one relay, or all of them, and NATS. Without
// proxies there is none.
func under(w weather) fault {
	return func(r *rig, lasting time.Duration, pick int) error {
		r.weather.Lock()
		defer r.weather.Unlock()
		affected := r.affected(pick)
		for _, p := range affected {
			p.turn(w)
			if w.anew {
				p.cut()
			}
		}
		hold(lasting)
		for _, p := range affected {
			p.turn(weather{})
		}
		return nil
	}
}

// affected are the proxies of all relays, or of one.
func (r *rig) affected(pick int) []*proxy {
	var all []*proxy
	for i, ofOne := range r.proxies {
		if pick%2 == 0 || i == pick/2%len(r.proxies) {
			all = append(all, ofOne...)
		}
	}
	return all
}

var (
	networkCut      = under(weather{anew: true, refusing: true})
	networkMute     = under(weather{anew: true, deaf: [2]bool{down: true}})
	networkStalled  = under(weather{stalled: true})
	networkDeafUp   = under(weather{deaf: [2]bool{up: true}})
	networkDeafDown = under(weather{deaf: [2]bool{down: true}})
	networkSlow     = under(weather{delay: 300 * time.Millisecond})
	networkResets   = under(weather{resetAfter: 20_011})
)
