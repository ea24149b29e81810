package broker

// LookAgain has the streams looked at soon.
func (b *Broker) LookAgain() { b.keeper.nudge() }
