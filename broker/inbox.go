package broker

import (
	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/internal/natsperm"
)

// dialOperator connects for an operator's command. It is answered in the inbox that
// every client has by default, or, where the user may not subscribe there, in the one
// that is configured: in a pod the user is the relay's own.
func (c Config) dialOperator(more ...nats.Option) (*nats.Conn, error) {
	nc, err := c.dialOnce(more...)
	if err != nil || c.InboxPrefix == "" || hears(nc, operatorInbox) {
		return nc, err
	}
	own, err := c.dialOnce(append(more, nats.CustomInboxPrefix(c.InboxPrefix))...)
	switch {
	case err != nil:
		nc.Close()
		return nil, err
	case !hears(own, c.InboxPrefix):
		own.Close()
		return nc, nil // whose errors name the inbox of an operator
	}
	nc.Close()
	return own, nil
}

// hears tells whether NATS permits a subscription below prefix. A refusal reaches the
// connection before the flush's answer does.
func hears(nc *nats.Conn, prefix string) bool {
	subject := prefix + "." + newToken()
	s, err := nc.SubscribeSync(subject)
	if err != nil {
		return false
	}
	defer s.Unsubscribe()
	if nc.FlushTimeout(apiTimeout) != nil {
		return true // that is another fault, and shows in what comes next
	}
	_, refused := natsperm.LastOf(nc, subject)
	return !refused
}

// operatorInboxPrefix is that of the connection that dialOperator makes.
func (c Config) operatorInboxPrefix() (string, error) {
	nc, err := c.dialOperator()
	if err != nil {
		return "", err
	}
	defer nc.Close()
	if nc.Opts.InboxPrefix != "" {
		return nc.Opts.InboxPrefix, nil
	}
	return operatorInbox, nil
}
