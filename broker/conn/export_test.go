package conn

// BelieveUp has a connection be taken for one that stands, as before it is noted that it
// dropped.
func BelieveUp(c *Conn) { c.up.Store(true) }
