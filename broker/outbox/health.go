package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/visit"
)

// probeInterval is between two tries to write to a disk that failed.
const probeInterval = 5 * time.Second

// health is what the spool last replied to a put, and whether its disk has room.
type health struct {
	spool   *spool.Spool
	shares  *Shares
	largest int64 // message that there may be

	mu sync.Mutex
	// disk is why the disk did not take the last write or removal, or nil.
	disk error
	// refused is the size of what was last refused for want of room.
	refused map[spoolOwner]int64
}

type spoolOwner struct {
	root        visit.Root
	integration string
}

func newHealth(s *spool.Spool, shares *Shares, largest int64) *health {
	return &health{spool: s, shares: shares, largest: largest, refused: make(map[spoolOwner]int64)}
}

// note takes what became of a message that was to be put.
func (h *health) note(owner spoolOwner, size int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		h.disk = nil
		delete(h.refused, owner)
	case errors.Is(err, spool.ErrDiskFull): // an ErrFull, too
		h.disk = notTaken(err)
	case errors.Is(err, spool.ErrFull):
		h.refused[owner] = size
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, spool.ErrClosed):
		// says nothing about the spool
	case errors.Is(err, spool.ErrUnusable):
		// which the spool says itself, and when it is over
	default:
		h.disk = notTaken(err)
	}
}

func notTaken(err error) error { return fmt.Errorf("the spool refused the last message: %w", err) }

// notRemoved takes why the disk did not let messages be removed.
func (h *health) notRemoved(err error) {
	if errors.Is(err, spool.ErrClosed) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.disk = fmt.Errorf("the spool could not remove forwarded messages: %w", err)
}

// probe tries a disk that failed until it takes something: while NATS takes
// everything nothing is put, and it would not show that the disk is well.
func (h *health) probe(ctx context.Context) {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if h.diskFault() != nil && h.spool.Probe(ctx, h.largest) == nil {
			h.mu.Lock()
			h.disk = nil
			h.mu.Unlock()
		}
	}
}

// impairment is what a person should know about the spool's files, or nil.
func (h *health) impairment() error {
	if fault := h.spool.Fault(); fault != nil {
		return fmt.Errorf("events are not spooled: %w", fault)
	}
	switch d := h.spool.Damaged(); {
	case d == nil:
		return nil
	case d.Path == "":
		return fmt.Errorf("files of the spool were removed while it was open: %d messages are lost", d.Lost)
	default:
		return fmt.Errorf("the spool was damaged: %d messages were recovered, and the damaged file is kept as %s", d.Rescued, d.Path)
	}
}

func (h *health) diskFault() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.disk
}

// diskRoom says that the disk has no room for the largest message, or nil.
func (h *health) diskRoom() error {
	d := h.spool.Space()
	if d.Size == 0 || d.Left >= h.largest {
		return nil
	}
	return fmt.Errorf("%w for the largest message: %d bytes are free, it may need %d", spool.ErrDiskFull, d.Free, h.largest)
}

// faults says what the spool refused and would refuse again: because of its disk,
// or for want of room.
func (h *health) faults() (room []error, disk error) {
	disk = h.diskRoom()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.disk != nil {
		disk = h.disk
	}
	owners := slices.SortedFunc(maps.Keys(h.refused), func(a, b spoolOwner) int {
		return strings.Compare(string(a.root)+"/"+a.integration, string(b.root)+"/"+b.integration)
	})
	for _, owner := range owners {
		now := h.spool.Room(owner.root, owner.integration, h.refused[owner])
		if err := h.shares.allowsSpool(owner, now); err != nil {
			room = append(room, err)
		} else {
			delete(h.refused, owner)
		}
	}
	return room, disk
}

// Status is how many messages wait in the spool, and what fraction is used of what may
// wait there, or of its disk where that holds less.
type Status struct {
	Messages int
	Full     float64
}

// Status is nil without a spool.
func (o *Outbox) Status() *Status {
	if o.spooler == nil {
		return nil
	}
	messages, _ := o.spooler.spool.Usage()
	return &Status{messages, o.spooler.spool.Full()}
}

// Impairment is what a person should know about the spool's files, or nil.
func (o *Outbox) Impairment() error {
	if o.spooler == nil {
		return nil
	}
	return o.spooler.health.impairment()
}

// Full says what takes no more: the quarantine's shares, the spool's disk, the spool.
func (o *Outbox) Full() []error {
	full := o.shares.Exhausted()
	if o.spooler == nil {
		return full
	}
	room, disk := o.spooler.health.faults()
	return append(append(full, disk), room...)
}
