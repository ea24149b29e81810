package embedded

import "time"

// BuiltYearsAgo makes the program an old one.
func BuiltYearsAgo(s *Server) { s.built = time.Time{} }

// ClockWasWaitedFor makes the start of the server one of some time ago.
func ClockWasWaitedFor(s *Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running.began = s.running.began.Add(-clockPatience)
}
