package main

import (
	"crypto/sha256"
	"sync"
)

type digest [sha256.Size]byte

// ledger is what senders know: which bodies were sent, and which events were
// acknowledged.
type ledger struct {
	mu           sync.Mutex
	sent         map[digest]bool
	acknowledged map[string]digest // by the event's id
	total        int               // that was acknowledged ever
	reported     map[string]bool   // ids that were found twice or altered before
}

func newLedger() *ledger {
	return &ledger{sent: map[digest]bool{}, acknowledged: map[string]digest{}, reported: map[string]bool{}}
}

// send is called before a body leaves.
func (l *ledger) send(body []byte) digest {
	d := digest(sha256.Sum256(body))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[d] = true
	return d
}

// acknowledge is called once a 200 was read to its end.
func (l *ledger) acknowledge(id string, d digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledged[id] = d
	l.total++
}

// answered is how many acknowledgements there were.
func (l *ledger) answered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// forget is for a new disk.
func (l *ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.acknowledged)
}

// stored is an event as a stream has it.
type stored struct {
	id   string
	body []byte // as Sine sent it
}

// findings are how many events are not stored as they were acknowledged.
type findings struct{ missing, twice, altered int }

func (f *findings) add(o findings) {
	f.missing += o.missing
	f.twice += o.twice
	f.altered += o.altered
}

// missing counts what is acknowledged and in neither a stream nor a spool.
func (l *ledger) missing(stream []stored, spooled []string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lost(stream, spooled))
}

func (l *ledger) lost(stream []stored, spooled []string) (ids []string) {
	found := map[string]bool{}
	for _, s := range stream {
		found[s.id] = true
	}
	for _, id := range spooled {
		found[id] = true
	}
	for id := range l.acknowledged {
		if !found[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// settle compares what is stored with what is known, and reports each event once. One
// that is in its stream and still in the spool is not there twice: the stream
// recognises it.
func (l *ledger) settle(stream []stored, spooled []string) (f findings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range l.lost(stream, spooled) {
		f.missing++
		delete(l.acknowledged, id)
	}
	seen := map[digest]bool{}
	for _, s := range stream {
		d := digest(sha256.Sum256(s.body))
		known, acknowledged := l.acknowledged[s.id]
		switch {
		case l.reported[s.id]:
		case !l.sent[d] || acknowledged && known != d:
			f.altered++
			l.reported[s.id] = true
		case seen[d]:
			f.twice++
			l.reported[s.id] = true
		}
		seen[d] = true
	}
	return f
}
