package embedded

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

const (
	// examineInterval is between two examinations without a cause.
	examineInterval = time.Second
	// shortestRestart and longestRestart are between two starts: those of others who
	// are connected are cut off each time.
	shortestRestart, longestRestart = time.Second, 30 * time.Second
)

// restarts spaces starts out.
type restarts struct {
	pause time.Duration
	next  time.Time
}

func (r *restarts) due(now time.Time) bool { return !now.Before(r.next) }

func (r *restarts) begun(now time.Time) {
	if now.Sub(r.next) > longestRestart {
		r.pause = 0
	}
	r.pause = min(max(shortestRestart, 2*r.pause), longestRestart)
	r.next = now.Add(r.pause)
}

// errDown is that no server runs at the moment.
var errDown = errors.New("the embedded NATS is restarting")

// examineSoon asks for an examination.
func (s *Server) examineSoon() {
	select {
	case s.wanted <- struct{}{}:
	default:
	}
}

// supervise examines the server from time to time, and whenever it reports an error,
// until Shutdown.
func (s *Server) supervise() {
	defer close(s.ended)
	tick := time.NewTicker(examineInterval)
	defer tick.Stop()
	for {
		s.heal()
		select {
		case <-s.quit:
			return
		case <-tick.C:
		case <-s.wanted:
		}
	}
}

// heal starts the server anew where it is of no use and may be of use then: while
// the disk takes nothing it would only cut off those who decide.
func (s *Server) heal() {
	running := s.current()
	if running != nil {
		broken := running.examine()
		s.note(broken)
		if broken == nil {
			return
		}
	}
	if now := time.Now(); s.restarts.due(now) && tryDisk(s.cfg.StoreDir, int(s.maxPayload())) == nil {
		s.restarts.begun(now)
		s.restart(running)
	}
}

func (s *Server) restart(old *instance) {
	if old != nil {
		s.cfg.Logger.Warn("restarting the embedded NATS", "reason", s.Broken().Error())
		before, removed := old.messages(), old.intact() != nil
		s.mu.Lock()
		s.running = nil
		s.mu.Unlock()
		old.shutdown()
		if removed {
			s.cfg.Logger.Error("the store of the embedded NATS was removed while it ran: messages that no consumer has read are lost", "messages", before)
		}
	}
	if err := s.launch(); err != nil {
		s.note(fmt.Errorf("restart: %w", err))
		return
	}
	s.cfg.Logger.Info("the embedded NATS was restarted", "address", s.addr)
	s.sayClock()
}

// note logs each new reason once.
func (s *Server) note(broken error) {
	s.mu.Lock()
	before := s.broken
	s.broken = broken
	s.mu.Unlock()
	if broken != nil && (before == nil || before.Error() != broken.Error()) {
		s.cfg.Logger.Error("the embedded NATS stores nothing", "reason", broken.Error())
	}
}

func (s *Server) current() *instance {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.running
}

// Broken says why nothing is stored before the server was started anew, which it
// does by itself, or nil.
func (s *Server) Broken() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.broken == nil {
		return nil
	}
	return fmt.Errorf("embedded NATS: %w", s.broken)
}

// StoreFault says why a message that is stored in a stream now would not last, or
// nil. Whoever publishes asks before, and again after the acknowledgement, which
// counts for nothing otherwise.
func (s *Server) StoreFault(stream string) error {
	if err := s.Broken(); err != nil {
		return err
	}
	if err := s.clockFault(); err != nil {
		return err
	}
	running := s.current()
	if running == nil {
		return errDown
	}
	if err := running.checkStream(stream); err != nil {
		s.examineSoon()
		return fmt.Errorf("embedded NATS: %w", err)
	}
	return nil
}

// checkStream says whether the store and the files of a stream are at their path.
func (i *instance) checkStream(stream string) error {
	if err := i.store.check(); err != nil {
		return err
	}
	return i.store.checkStream(stream, i.streams)
}

// intact is the same for all streams that anything was stored in.
func (i *instance) intact() error {
	err := i.store.check()
	for _, stream := range i.store.known() {
		if err == nil {
			err = i.checkStream(stream)
		}
	}
	return err
}

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
