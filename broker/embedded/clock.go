package embedded

import (
	"fmt"
	"runtime/debug"
	"time"
)

const (
	// clockTolerance is what a clock may be behind without harm to what is stored:
	// streams keep messages for longer.
	clockTolerance = 24 * time.Hour
	// clockPatience is how long a clock that may be behind has to be corrected.
	clockPatience = time.Minute
)

// firstBuild is before every build of this program.
var firstBuild = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

// buildDate is when the source of this program was committed, as far as is known.
func buildDate() time.Time {
	date := firstBuild
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return date
	}
	for _, one := range info.Settings {
		committed, err := time.Parse(time.RFC3339, one.Value)
		if one.Key == "vcs.time" && err == nil && committed.After(date) {
			date = committed
		}
	}
	return date
}

// clockFault says that the clock is behind, or nil. JetStream stamps a message with
// the time of the clock: once that is corrected, the message is older than the
// stream keeps any, and is gone.
//
// What it says stays the same for a day, and so is logged once.
//
// Before the date of the build the clock is wrong for certain. Before the newest
// message it may be right, and may have been ahead when that was stored: then
// storing waits for a moment only.
func (s *Server) clockFault() error {
	now := s.cfg.Now()
	if now.Before(s.built.Add(-clockTolerance)) {
		return fmt.Errorf("the clock says %s, which is before this program was built (%s): messages stored now are dropped as too old once it is corrected",
			now.UTC().Format(time.DateOnly), s.built.UTC().Format(time.DateOnly))
	}
	if running := s.current(); running != nil && time.Since(running.began) < clockPatience {
		return s.ClockDoubt()
	}
	return nil
}

// ClockDoubt says that the clock is behind the newest message in the store, or nil.
func (s *Server) ClockDoubt() error {
	running := s.current()
	if running == nil {
		return nil
	}
	if now := s.cfg.Now(); now.Before(running.newest.Add(-clockTolerance)) {
		return fmt.Errorf("the clock says %s, and the newest message in the store of the embedded NATS is of %s: if the clock is behind, messages stored now are dropped too early once it is corrected",
			now.UTC().Format(time.DateOnly), running.newest.UTC().Format(time.RFC3339))
	}
	return nil
}

// sayClock logs what is wrong with the clock at a start.
func (s *Server) sayClock() {
	if err := s.clockFault(); err != nil {
		s.cfg.Logger.Error("set the clock: until then the embedded NATS stores nothing", "reason", err.Error())
	}
}
