package relay

const (
	// bodyCopies is how many times its length a body takes up at most while
	// its event is stored.
	bodyCopies = 6
	// callCost is what a call takes up beside its body.
	callCost = 16 << 10
)

// BodyCost is the memory in bytes that a call with a body of that length takes up
// at most, by which bodies count towards [Limits.BodyMemory].
func BodyCost(length int64) int64 { return bodyCopies*length + callCost }
