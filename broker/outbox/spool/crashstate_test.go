package spool

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// platter is what is on a disk for certain at one moment of a recording, and what
// may be: of the writes that were not synced, each sector may have come that far; of
// the names that were not, each change may have.
type platter struct {
	names   map[string]*memFile
	changes []map[string]*memFile
	files   map[*memFile]*content
}

type content struct {
	data    []byte
	size    int64 // that was allocated and not synced; 0 for none
	sectors map[int64][]sectorWrite
}

type sectorWrite struct {
	offset int64
	data   []byte
	// stale is what a failed sync has left: the next one does not write it, unless
	// something else in the sector is written, too.
	stale bool
}

// newPlatter is a disk on which everything is for certain.
func newPlatter(d *memDisk) *platter {
	p := &platter{names: maps.Clone(d.names), files: make(map[*memFile]*content)}
	for _, f := range d.names {
		p.of(f).data = slices.Clone(f.data)
	}
	return p
}

func (p *platter) of(f *memFile) *content {
	if p.files[f] == nil {
		p.files[f] = &content{sectors: make(map[int64][]sectorWrite)}
	}
	return p.files[f]
}

// apply takes the next event of the recording.
func (p *platter) apply(e event) {
	switch {
	case e.names != nil:
		p.changes = append(p.changes, e.names)
	case e.sync && e.file == nil:
		if !e.failed {
			p.settleNames()
		}
	case e.sync:
		p.of(e.file).sync(e.failed)
	case e.write != nil:
		p.of(e.file).write(e.offset, e.write)
	default:
		p.of(e.file).size = e.size
	}
}

func (p *platter) settleNames() {
	for _, c := range p.changes {
		rename(p.names, c)
	}
	p.changes = nil
}

func rename(names, change map[string]*memFile) {
	for name, f := range change {
		if names[name] = f; f == nil {
			delete(names, name)
		}
	}
}

func (c *content) write(offset int64, b []byte) {
	for len(b) > 0 {
		sector := offset / sectorBytes
		n := min(int64(len(b)), (sector+1)*sectorBytes-offset)
		c.sectors[sector] = append(c.sectors[sector], sectorWrite{offset: offset, data: b[:n]})
		offset, b = offset+n, b[n:]
	}
}

func (c *content) sync(failed bool) {
	if failed {
		for _, writes := range c.sectors {
			for i := range writes {
				writes[i].stale = true
			}
		}
		return
	}
	c.data = grown(c.data, c.size)
	c.size = 0
	for sector, writes := range c.sectors {
		if !writes[len(writes)-1].stale {
			c.data = overwritten(c.data, writes)
			delete(c.sectors, sector)
		}
	}
}

func grown(b []byte, size int64) []byte {
	return append(b, make([]byte, max(0, size-int64(len(b))))...)
}

func overwritten(b []byte, writes []sectorWrite) []byte {
	for _, w := range writes {
		b = grown(b, w.offset+int64(len(w.data)))
		copy(b[w.offset:], w.data)
	}
	return b
}

// choices are what may have come to the disk or not: for each of them, in how many
// ways that may be.
func (p *platter) choices() (ways []int, total int) {
	total = 1
	add := func(n int) {
		ways = append(ways, n)
		total = min(total*n, 1<<30)
	}
	for range p.changes {
		add(2)
	}
	for _, f := range p.sorted() {
		if f.size > 0 {
			add(2)
		}
		for _, sector := range slices.Sorted(maps.Keys(f.sectors)) {
			add(len(f.sectors[sector]) + 1)
		}
	}
	return ways, total
}

// sorted are the files in one order, without those that are not named any more.
func (p *platter) sorted() (all []*content) {
	seen := make(map[*memFile]bool)
	for _, names := range append([]map[string]*memFile{p.names}, p.changes...) {
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if f := names[name]; f != nil && !seen[f] {
				seen[f] = true
				all = append(all, p.of(f))
			}
		}
	}
	return all
}

// crash is the disk that a choice leaves.
func (p *platter) crash(choice []int) *memDisk {
	next := func() (n int) { n, choice = choice[0], choice[1:]; return n }
	names := maps.Clone(p.names)
	for _, change := range p.changes {
		if next() == 1 {
			rename(names, change)
		}
	}
	left := make(map[*content][]byte)
	for _, f := range p.sorted() {
		data := slices.Clone(f.data)
		if f.size > 0 && next() == 1 {
			data = grown(data, f.size)
		}
		for _, sector := range slices.Sorted(maps.Keys(f.sectors)) {
			data = overwritten(data, f.sectors[sector][:next()])
		}
		left[f] = data
	}
	d := newMemDisk()
	for name, f := range names {
		d.names[name] = &memFile{disk: d, data: left[p.of(f)]}
	}
	return d
}

// each calls do with states in which a crash may leave the disk: with all of them
// where they are few, else with both extremes and some others.
func (p *platter) each(random *rand.Rand, few int, do func(*memDisk)) {
	ways, total := p.choices()
	choice := make([]int, len(ways))
	if total <= few {
		for n := range total {
			for i, w := range ways {
				choice[i] = n % w
				n /= w
			}
			do(p.crash(choice))
		}
		return
	}
	for n := range few {
		for i, w := range ways {
			switch n {
			case 0:
				choice[i] = 0
			case 1:
				choice[i] = w - 1
			default:
				choice[i] = random.IntN(w)
			}
		}
		do(p.crash(choice))
	}
}
