package relay

import "sync/atomic"

// maxIdleWorkers are kept when they have nothing to do.
const maxIdleWorkers = 64

// workers run jobs, each at once and in a goroutine of its own. Goroutines are used
// again: a new one would grow its stack anew for each job.
type workers struct {
	jobs chan func()
	idle atomic.Int32
}

func newWorkers() *workers { return &workers{jobs: make(chan func())} }

// run must not be called after close.
func (w *workers) run(job func()) {
	select {
	case w.jobs <- job:
	default: // no worker is idle
		go w.work(job)
	}
}

func (w *workers) work(job func()) {
	for job != nil {
		job()
		job = w.next()
	}
}

// next waits for a job, unless enough wait for one. It returns nil where there is to be
// none.
func (w *workers) next() func() {
	defer w.idle.Add(-1)
	if w.idle.Add(1) > maxIdleWorkers {
		return nil
	}
	return <-w.jobs
}

// close ends idle workers, and the others after their jobs.
func (w *workers) close() { close(w.jobs) }
