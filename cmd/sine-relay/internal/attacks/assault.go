//go:build linux

package main

import "time"

// assault is one kind of attack.
type assault struct {
	Name string
	Kind kind
	// Count is how many connections are held, senders send or replies come.
	Count int
	For   time.Duration
	// TLS is spoken on the public listener.
	TLS bool
	// FullStream has the relay's stream of events full.
	FullStream bool
}

// ramp is in what time all connections are opened first. The attack is on memory:
// a rush of handshakes would be one on the processors, which attackers, relay and
// honest caller share here.
func (a assault) ramp() time.Duration {
	switch {
	case a.Kind == scrapes:
		return 0
	case a.TLS:
		return a.For / 3
	default:
		return a.For / 10
	}
}

type kind string

const (
	idle        kind = "idle"         // connections that say nothing, or nothing with a key
	halfHeaders kind = "half headers" // headers without an end, in long lines
	shortLines  kind = "short lines"  // and in many short ones
	scrapes     kind = "scrapes"      // of the metrics, and never read
	bodies      kind = "bodies"       // with a valid key, of another lobby than the honest caller's
	replies     kind = "replies"      // to the search for deciders
)

const (
	bodyBytes  = 258_000
	replyBytes = 900_000
)

// assaults are the attacks in their order. The search for deciders is every 15 s.
func assaults(short bool) []assault {
	if short {
		return []assault{
			{Name: "6,000 idle connections", Kind: idle, Count: 6_000, For: 3 * time.Second},
			{Name: "4,000 half headers", Kind: halfHeaders, Count: 4_000, For: 3 * time.Second},
			{Name: "2,500 half headers of many lines", Kind: shortLines, Count: 2_500, For: 3 * time.Second},
			{Name: "2,500 idle TLS connections", Kind: idle, Count: 2_500, For: 4 * time.Second, TLS: true},
			{Name: "2,500 half headers over TLS", Kind: halfHeaders, Count: 2_500, For: 4 * time.Second, TLS: true},
			{Name: "150 unread scrapes", Kind: scrapes, Count: 150, For: 3 * time.Second},
			{Name: "bodies of 258 KB at 256 senders", Kind: bodies, Count: 256, For: 3 * time.Second},
			{Name: "the same while the stream is full", Kind: bodies, Count: 256, For: 4 * time.Second, FullStream: true},
			{Name: "400 discovery answers of 900 KB", Kind: replies, Count: 400, For: 16 * time.Second},
		}
	}
	const long = 20 * time.Second
	return []assault{
		{Name: "12,000 idle connections", Kind: idle, Count: 12_000, For: long},
		{Name: "8,000 half headers", Kind: halfHeaders, Count: 8_000, For: long},
		{Name: "2,500 half headers of many lines", Kind: shortLines, Count: 2_500, For: long},
		{Name: "5,000 idle TLS connections", Kind: idle, Count: 5_000, For: long, TLS: true},
		{Name: "5,000 half headers over TLS", Kind: halfHeaders, Count: 5_000, For: long, TLS: true},
		{Name: "150 unread scrapes", Kind: scrapes, Count: 150, For: long},
		{Name: "bodies of 258 KB at 256 senders", Kind: bodies, Count: 256, For: long},
		{Name: "the same while the stream is full", Kind: bodies, Count: 256, For: long, FullStream: true},
		{Name: "400 discovery answers of 900 KB", Kind: replies, Count: 400, For: 2 * long},
	}
}
