package broker

import "context"

// CheckSoon has the streams checked soon.
func (b *Broker) CheckSoon() { b.streams.Trigger() }

// CheckNow checks the streams.
func (b *Broker) CheckNow() { b.streams.Check(context.Background()) }
