package embedded

import (
	"slices"

	"github.com/nats-io/nats-server/v2/server"
)

// relayAccount is the account of the relay and of deciders.
const relayAccount = "VISITORS"

// Answering reports whether a client answers the requests on a subject, beside the
// one with the id own: a plain subscriber, too, whom NATS discovery does not show.
// Deciders may subscribe in a queue group only; what is in none is a stream.
func (s *Server) Answering(subject string, own uint64) (bool, error) {
	running := s.current()
	if running == nil {
		return false, errDown
	}
	found, err := running.nats.Subsz(&server.SubszOptions{Subscriptions: true, Account: relayAccount, Test: subject, Limit: 1 << 16})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(found.Subs, func(sub server.SubDetail) bool {
		return sub.Cid != own && sub.Queue != ""
	}), nil
}
