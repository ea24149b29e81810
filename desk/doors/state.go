package doors

import "time"

// State is what a door is in. Several may hold at once: then the worst is shown, and the
// others beside it.
type State string

const (
	LockedDown State = "locked_down"
	Invalid    State = "invalid_configuration"
	OnFallback State = "on_fallback"
	// Unknown is the state while something that it rests on cannot be read.
	Unknown      State = "unknown"
	NoDecider    State = "no_decider"
	NoRelay      State = "no_relay"
	RelayMissing State = "relay_missing"
	Impaired     State = "relay_impaired"
	NotObeyed    State = "order_not_obeyed"
	Drifting     State = "fields_drift"
	Overridden   State = "overridden"
	NotSeen      State = "decider_not_seen"
	Silent       State = "silent"
	NeverUsed    State = "never_used"
	Answering    State = "answering"
)

// States are all states, the worst first.
var States = []State{
	LockedDown, Invalid, OnFallback, Unknown, NoDecider, NoRelay, RelayMissing, Impaired, NotObeyed, Drifting, Overridden, NotSeen, Silent, NeverUsed, Answering,
}

var stateWords = map[State]struct{ title, meaning string }{
	LockedDown:   {"Locked down", "A standing order rejects every visitor."},
	Invalid:      {"Invalid configuration", "A relay refuses all of Sine's calls for the integration, because its configuration is invalid."},
	OnFallback:   {"On fallback", "Visitors are answered without a decision, as the integration's fallback says."},
	Unknown:      {"Unknown", "Something that the state rests on cannot be read. The page says what, since when, and what the state was before."},
	NoDecider:    {"No decider", "No program answers for a decider of the integration. The next visitor gets the fallback."},
	NoRelay:      {"No relay", "No relay answers for the integration. Sine's calls fail, or are not seen here."},
	RelayMissing: {"Relay missing", "A relay that answered within the last hour does not answer any more, and none was started instead."},
	Impaired:     {"Relay impaired", "A relay answers, and a person must mend something of it."},
	NotObeyed:    {"Order not obeyed", "A relay of the site does not obey a standing order, or does not know the orders."},
	Drifting:     {"Fields drift", "A field that Sine's calls had is missing from them."},
	Overridden:   {"Overridden", "A standing order lets every visitor in without a decider."},
	NotSeen:      {"Decider not seen", "No program is found for a decider that decided within the last day: it has ended, or it is not a NATS micro service and cannot be found. It is a note: the next visitor shows which of them."},
	Silent:       {"Silent", "Nothing was received for an hour or more, and at the same time of the day before there were visitors; or nothing for a day. It is a note: a day on which nobody is expected looks the same."},
	NeverUsed:    {"Never used", "Nothing was received since the relays were started, nor in the last day."},
	Answering:    {"Answering", "Visitors are answered by a decision."},
}

// Title names a state, and Meaning says in a sentence what it means.
func (s State) Title() string   { return stateWords[s].title }
func (s State) Meaning() string { return stateWords[s].meaning }

// Good reports whether nothing needs attention, as far as is known.
func (s State) Good() bool { return s == Answering || s == NeverUsed || s == Silent || s == NotSeen }

// Entry is whether visitors can get in.
type Entry int

const (
	// Open is that they are decided about, or let in by an order.
	Open Entry = iota
	// ByFallback is that the fallback lets them in or rejects them.
	ByFallback
	// EntryUnknown is that it cannot be read.
	EntryUnknown
	// Closed is that none can get in, or that Sine gets no answer.
	Closed
)

// entry is whether visitors can get in while a state holds.
func (s State) entry() Entry {
	switch s {
	case LockedDown, Invalid, NoRelay:
		return Closed
	case Unknown:
		return EntryUnknown
	case OnFallback, NoDecider:
		return ByFallback
	default:
		return Open
	}
}

// rank is the place among [States].
func (s State) rank() int {
	for i, state := range States {
		if s == state {
			return i
		}
	}
	return len(States)
}

// Finding is one thing that holds of a door.
type Finding struct {
	State State
	// Text says in a sentence or two what is so and why.
	Text string
	// Since is when it began, or zero where that is not known.
	Since time.Time
}
