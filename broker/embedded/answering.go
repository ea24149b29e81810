package embedded

import (
	"slices"

	"github.com/nats-io/nats-server/v2/server"
)

// relayAccount is the account of the relay and of deciders.
const relayAccount = "VISITORS"

// Answered lists the subjects, wildcards among them, of which clients answer the
// requests, but for the clients with the ids own: plain subscribers, too, whom NATS
// discovery does not show. Deciders may subscribe in a queue group only; what is in
// none is a stream.
func (s *Server) Answered(own ...uint64) ([]string, error) {
	running := s.current()
	if running == nil {
		return nil, errDown
	}
	found, err := running.nats.Subsz(&server.SubszOptions{Subscriptions: true, Account: relayAccount, Limit: 1 << 16})
	if err != nil {
		return nil, err
	}
	var subjects []string
	for _, sub := range found.Subs {
		if !slices.Contains(own, sub.Cid) && sub.Queue != "" {
			subjects = append(subjects, sub.Subject)
		}
	}
	slices.Sort(subjects)
	return slices.Compact(subjects), nil
}
