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

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

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

// metrics are the spool's side of the ledger: recovered + spooled = forwarded
// + quarantined + waiting, when nothing is in flight.
type metrics struct {
	spooled, forwarded, setAside, refused prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, s *spool.Spool, health *health) *metrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "sine_relay_spool_" + name, Help: help})
	}
	f.NewCounterFunc(prometheus.CounterOpts{
		Name: "sine_relay_spool_recovered_total", Help: "Ledger: messages found in the spool at the start.",
	}, func() float64 { return float64(s.Found()) })
	if reg != nil {
		reg.MustRegister(spoolGauges{s, health})
	}
	return &metrics{
		spooled:   counter("spooled_total", "Ledger: messages that went into the spool."),
		forwarded: counter("forwarded_total", "Ledger: messages that went from the spool into their stream."),
		setAside:  counter("quarantined_total", "Ledger: messages that went from the spool into the quarantine, because their stream refused them time and again."),
		refused:   counter("refused_total", "Messages that the spool did not take: it is full, or its disk fails."),
	}
}

// spoolGauges looks at the spool once for each scrape: it has to look at every
// message to find the oldest.
type spoolGauges struct {
	spool  *spool.Spool
	health *health
}

// nearlyFull is the fraction from which on a person should look.
const nearlyFull = 0.8

// gauges are the numbers, with what each says.
var gauges = []struct {
	desc  *prometheus.Desc
	value func(s spool.Stats) float64
}{
	{spoolGauge("messages", "Ledger: messages in the spool."), func(s spool.Stats) float64 { return float64(s.Entries) }},
	{spoolGauge("bytes", "Bytes of the messages in the spool."), func(s spool.Stats) float64 { return float64(s.Bytes) }},
	{spoolGauge("limit_bytes", "Maximum bytes of the messages in the spool; further events are refused."), func(s spool.Stats) float64 { return float64(s.MaxBytes) }},
	{spoolGauge("nearly_full", "1 while less than 20 % of the maximum bytes, or of what the disk can hold, is left."), func(s spool.Stats) float64 { return boolValue(s.Full >= nearlyFull) }},
	{spoolGauge("expired_messages", "Messages in the spool for longer than its maximum age."), func(s spool.Stats) float64 { return float64(s.Expired) }},
	{spoolGauge("oldest_timestamp_seconds", "Time at which the oldest message was spooled, 0 if there is none."), oldest},
}

// These follow what was last put, and the disk.
var (
	spoolDisk    = spoolGauge("disk_free_bytes", "Free bytes of the spool's disk. Absent if the system does not report them.")
	spoolFull    = spoolGauge("full", "1 while there is no space for the largest message, or the disk had none for the last one.")
	spoolUsable  = spoolGauge("usable", "1 while the spool is open and its disk works; otherwise events are refused while NATS cannot store them.")
	spoolDamaged = spoolGauge("damaged", "1 when a file of the spool was damaged, or was removed while it had messages.")
	spoolShares  = spoolGauge("shares_exhausted", "Integrations and kinds of messages that the spool refuses, because it is full or their share is exhausted.")
)

func spoolGauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("sine_relay_spool_"+name, help, nil, nil)
}

func boolValue(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

func oldest(s spool.Stats) float64 {
	if s.Oldest.IsZero() {
		return 0
	}
	return float64(s.Oldest.UnixMilli()) / 1000
}

// Describe and Collect make it a prometheus.Collector.
func (g spoolGauges) Describe(c chan<- *prometheus.Desc) {
	c <- spoolFull
	c <- spoolUsable
	c <- spoolShares
	c <- spoolDamaged
	c <- spoolDisk
	for _, one := range gauges {
		c <- one.desc
	}
}

func (g spoolGauges) Collect(c chan<- prometheus.Metric) {
	stats := g.spool.Stats()
	for _, one := range gauges {
		c <- prometheus.MustNewConstMetric(one.desc, prometheus.GaugeValue, one.value(stats))
	}
	room, disk := g.health.faults()
	full := errors.Is(disk, spool.ErrDiskFull) || stats.MaxBytes-stats.Bytes < g.health.largest
	c <- prometheus.MustNewConstMetric(spoolFull, prometheus.GaugeValue, boolValue(full))
	c <- prometheus.MustNewConstMetric(spoolUsable, prometheus.GaugeValue, boolValue(g.spool.Fault() == nil && disk == nil))
	c <- prometheus.MustNewConstMetric(spoolDamaged, prometheus.GaugeValue, boolValue(g.spool.Damaged() != nil))
	c <- prometheus.MustNewConstMetric(spoolShares, prometheus.GaugeValue, float64(len(room)))
	if stats.Disk.Size > 0 {
		c <- prometheus.MustNewConstMetric(spoolDisk, prometheus.GaugeValue, float64(stats.Disk.Free))
	}
}
