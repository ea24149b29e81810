package broker

import "context"

// LookAgain has the streams looked at soon.
func (b *Broker) LookAgain() { b.keeper.nudge() }

// LookNow looks at the streams.
func (b *Broker) LookNow() { b.keeper.check(context.Background()) }
