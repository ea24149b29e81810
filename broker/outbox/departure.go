package outbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/spool"
)

// What was forwarded is removed from the spool after so many messages, or so long:
// after a kill no more than that is sent again. A relay that is killed again and again
// would otherwise never empty its spool.
const (
	removeAfter = 64
	removeEvery = time.Second
)

// departure removes what leaves the spool, while more is being sent.
type departure struct {
	spooler *spooler
	done    chan struct{}
	ready   chan struct{}

	mu     sync.Mutex
	gone   left
	ended  bool
	closed bool // the spool is
}

// left are the sequences of messages that left the spool.
type left struct{ forwarded, setAside []uint64 }

func (l left) all() []uint64 { return append(l.forwarded, l.setAside...) }

func newDeparture(s *spooler) *departure {
	d := &departure{spooler: s, done: make(chan struct{}), ready: make(chan struct{}, 1)}
	go d.run()
	return d
}

func (d *departure) forwarded(sequence uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone.forwarded = append(d.gone.forwarded, sequence)
	d.signal()
}

func (d *departure) setAside(sequence uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone.setAside = append(d.gone.setAside, sequence)
	d.signal()
}

// signal is called with the lock held.
func (d *departure) signal() {
	if !d.ended && len(d.gone.forwarded)+len(d.gone.setAside) < removeAfter {
		return
	}
	select {
	case d.ready <- struct{}{}:
	default:
	}
}

// end returns once everything is removed, and reports false where the spool is closed.
func (d *departure) end() bool {
	d.mu.Lock()
	d.ended = true
	d.signal()
	d.mu.Unlock()
	<-d.done
	return !d.closed
}

func (d *departure) run() {
	defer close(d.done)
	tick := time.NewTicker(removeEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.ready:
		case <-tick.C:
		}
		d.mu.Lock()
		gone, ended := d.gone, d.ended
		d.gone = left{}
		d.mu.Unlock()
		d.remove(gone)
		if ended {
			return
		}
	}
}

func (d *departure) remove(gone left) {
	all := gone.all()
	if len(all) == 0 {
		return
	}
	// Not given up at the end of the relay: what is not removed here is sent again.
	if err := d.spooler.spool.Remove(context.Background(), all...); err != nil {
		d.spooler.health.notRemoved(err)
		d.spooler.log.Error("cannot remove forwarded messages from the spool", "err", err.Error())
		if errors.Is(err, spool.ErrClosed) {
			d.closed = true
			return
		}
	}
	// The ledger counts what the spool offers no more, and so not before.
	d.spooler.metrics.forwarded.Add(float64(len(gone.forwarded)))
	d.spooler.metrics.setAside.Add(float64(len(gone.setAside)))
}
