package spool

import (
	"io"
	"io/fs"
	"maps"
	"slices"
	"syscall"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
)

const sectorBytes = 512

// memDisk is a disk in memory that writes down what is done to it, so that each state
// in which a crash may leave it can be made; see crash.
//
// What it does not check: locks, and what a process sees whose files others change.
type memDisk struct {
	names   map[string]*memFile
	events  []event
	records bool
	before  func()                 // called before each event
	fails   func(what string) bool // whether an operation fails, or nil
}

// memFile is a file as its process sees it.
type memFile struct {
	disk *memDisk
	data []byte
}

// event is something that is done to a disk.
type event struct {
	file   *memFile // that is written, allocated or synced; nil for the directory
	write  []byte   // at offset
	offset int64
	size   int64               // that is allocated
	names  map[string]*memFile // that change at once; nil where the file goes
	sync   bool
	failed bool // the sync
}

func newMemDisk() *memDisk { return &memDisk{names: make(map[string]*memFile), records: true} }

func (d *memDisk) note(e event) {
	if d.before != nil {
		d.before()
	}
	if d.records {
		d.events = append(d.events, e)
	}
}

func (d *memDisk) broken(what string) bool { return d.fails != nil && d.fails(what) }

func (d *memDisk) Lock() (disk.Lock, error)           { return memLock{}, nil }
func (d *memDisk) List() ([]string, error)            { return slices.Collect(maps.Keys(d.names)), nil }
func (d *memDisk) Space() (free, size int64, _ error) { return 0, 0, nil }

type memLock struct{}

func (memLock) InPlace() error { return nil }
func (memLock) Release()       {}

func (d *memDisk) Create(name string, size int64) (disk.File, error) {
	if d.broken("create") {
		return nil, syscall.ENOSPC
	}
	f := &memFile{disk: d, data: make([]byte, size)}
	d.change(map[string]*memFile{name: f})
	d.note(event{file: f, size: size})
	return f, nil
}

func (d *memDisk) change(names map[string]*memFile) {
	d.note(event{names: names})
	for name, f := range names {
		if d.names[name] = f; f == nil {
			delete(d.names, name)
		}
	}
}

func (d *memDisk) Open(name string) (disk.File, error) {
	if f := d.names[name]; f != nil {
		return f, nil
	}
	return nil, fs.ErrNotExist
}

func (d *memDisk) Check(name string, f disk.File) (int64, error) {
	switch now := d.names[name]; {
	case now == nil:
		return 0, fs.ErrNotExist
	case disk.File(now) != f:
		return 0, disk.ErrReplaced
	default:
		return int64(len(now.data)), nil
	}
}

func (d *memDisk) Rename(from, to string) error {
	if d.broken("rename") {
		return syscall.EIO
	}
	d.change(map[string]*memFile{to: d.names[from], from: nil})
	return nil
}

func (d *memDisk) Remove(name string) error {
	if d.broken("remove") {
		return syscall.EIO
	}
	if d.names[name] == nil {
		return fs.ErrNotExist
	}
	d.change(map[string]*memFile{name: nil})
	return nil
}

func (d *memDisk) Sync() error {
	failed := d.broken("sync of the directory")
	d.note(event{sync: true, failed: failed})
	if failed {
		return syscall.EIO
	}
	return nil
}

func (f *memFile) ReadAt(b []byte, at int64) (int, error) {
	if n := copy(b, f.data[min(at, int64(len(f.data))):]); n < len(b) {
		return n, io.EOF
	}
	return len(b), nil
}

func (f *memFile) WriteAt(b []byte, at int64) (int, error) {
	if f.disk.broken("write") { // after some of the sectors
		b = b[:max(0, (at+int64(len(b))/2)&^(sectorBytes-1)-at)]
		f.disk.note(event{file: f, write: slices.Clone(b), offset: at})
		copy(f.data[at:], b)
		return 0, syscall.EIO
	}
	f.disk.note(event{file: f, write: slices.Clone(b), offset: at})
	return copy(f.data[at:], b), nil
}

func (f *memFile) Sync() error {
	failed := f.disk.broken("sync")
	f.disk.note(event{file: f, sync: true, failed: failed})
	if failed {
		return syscall.EIO
	}
	return nil
}

func (f *memFile) Close() error { return nil }
