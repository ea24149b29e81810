package relay

import (
	"sync"
	"testing"

	"github.com/sine-relay/sine-relay/internal/wait"
)

func TestWorkers_EachJobRunsAtOnce(t *testing.T) {
	const jobs = 3 * maxIdleWorkers
	w := newWorkers()
	for range 2 { // the second time some are kept
		var running, ended sync.WaitGroup
		running.Add(jobs)
		ended.Add(jobs)
		release := make(chan struct{})
		for range jobs {
			w.run(func() {
				defer ended.Done()
				running.Done()
				<-release
			})
		}
		running.Wait() // all of them at the same time
		close(release)
		ended.Wait()
		wait.Until(t, "enough are kept, and no more", func() bool { return w.idle.Load() == maxIdleWorkers })
	}
	w.close()
	wait.Until(t, "all have ended", func() bool { return w.idle.Load() == 0 })
}

func TestWorkers_AnIdleOneIsUsedAgain(t *testing.T) {
	w := newWorkers()
	defer w.close()
	for range 100 {
		done := make(chan struct{})
		w.run(func() { close(done) })
		<-done
		wait.Until(t, "the worker is idle", func() bool { return w.idle.Load() > 0 })
	}
	if idle := w.idle.Load(); idle > 10 {
		t.Errorf("%d workers for one job after the other", idle)
	}
}
