// Package subscribertest tests deciders and consumers of events without NATS.
//
// [Ask] asks a decider as [subscriber.Decide] does, and [Deliver] delivers events as
// [subscriber.Events] does: both through the wire form, with what may happen on the way.
// [Visitor] and the functions beside it are visits to test with, as Sine describes them.
//
// It depends on package visit and on nothing beyond the standard library. To test a
// program with a relay and NATS, use package relaytest of cmd/sine-relay.
//
// [subscriber.Decide]: https://pkg.go.dev/github.com/sine-relay/sine-relay/visit/subscriber#Decide
// [subscriber.Events]: https://pkg.go.dev/github.com/sine-relay/sine-relay/visit/subscriber#Events
package subscribertest
