package spool

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// What follows knows bbolt's file format, which is that of the machine's byte
// order: two meta pages, and trees of branch and leaf pages. It reads by
// ordinary reads and takes no number in the file for granted, whereas bbolt maps
// the file and trusts it: a page beyond the end is then a fault that cannot be
// recovered.
const (
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	metaSum     = 56 // offset of the checksum, and the length of what it covers
	noFreelist  = ^uint64(0)

	flagBranch, flagLeaf = 1, 2
	headSize             = 16 // of a page, a leaf's or branch's element and a bucket
	leafElement          = 16
	maxDepth             = 32
)

var native = binary.NativeEndian

// meta is what a meta page says of the tree.
type meta struct {
	root, freelist, pages, transaction uint64
}

func readMeta(f io.ReaderAt, page int64) (meta, error) {
	var b [headSize + metaSum + 8]byte
	if _, err := f.ReadAt(b[:], page*pageSize); err != nil {
		return meta{}, fmt.Errorf("meta page %d: %w", page, err)
	}
	m := b[headSize:]
	sum := fnv.New64a()
	sum.Write(m[:metaSum])
	switch {
	case native.Uint32(m) != metaMagic || native.Uint32(m[4:]) != metaVersion:
		return meta{}, fmt.Errorf("meta page %d: not a bbolt file", page)
	case native.Uint64(m[metaSum:]) != sum.Sum64():
		return meta{}, fmt.Errorf("meta page %d: wrong checksum", page)
	case native.Uint32(m[8:]) != pageSize:
		return meta{}, fmt.Errorf("meta page %d: page size is %d", page, native.Uint32(m[8:]))
	}
	return meta{
		root: native.Uint64(m[16:]), freelist: native.Uint64(m[32:]),
		pages: native.Uint64(m[40:]), transaction: native.Uint64(m[48:]),
	}, nil
}

// readPage reads a page with its overflow, of a file with so many pages.
func readPage(f io.ReaderAt, id, pages uint64) ([]byte, error) {
	head := make([]byte, pageSize)
	if id < 2 || id >= pages {
		return nil, fmt.Errorf("page %d: there are %d", id, pages)
	}
	if _, err := f.ReadAt(head, int64(id)*pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	overflow := uint64(native.Uint32(head[12:]))
	if native.Uint64(head) != id || overflow >= pages-id {
		return nil, fmt.Errorf("page %d: says it is %d, and %d more", id, native.Uint64(head), overflow)
	}
	if overflow == 0 {
		return head, nil
	}
	b := make([]byte, (overflow+1)*pageSize)
	if _, err := f.ReadAt(b, int64(id)*pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return b, nil
}

// element is one of a page: a key with a child of a branch, or with the value
// of a leaf, which may be a bucket.
type element struct {
	key, value []byte
	child      uint64
	bucket     bool
}

// elements takes a page apart. b is all of it, overflow included.
func elements(b []byte) ([]element, error) {
	flags, count := native.Uint16(b[8:]), int(native.Uint16(b[10:]))
	if flags != flagBranch && flags != flagLeaf {
		return nil, fmt.Errorf("has flags %#x", flags)
	}
	if headSize+count*leafElement > len(b) || flags == flagBranch && count == 0 {
		return nil, fmt.Errorf("has %d elements", count)
	}
	all := make([]element, count)
	for i := range all {
		start := headSize + i*leafElement
		h := b[start : start+leafElement]
		var e element
		var position, keyLength, valueLength uint64
		if flags == flagBranch {
			position, keyLength = uint64(native.Uint32(h)), uint64(native.Uint32(h[4:]))
			e.child = native.Uint64(h[8:])
		} else {
			e.bucket = native.Uint32(h)&1 != 0
			position, keyLength, valueLength = uint64(native.Uint32(h[4:])), uint64(native.Uint32(h[8:])), uint64(native.Uint32(h[12:]))
		}
		from := uint64(start) + position
		if position < leafElement || from+keyLength+valueLength > uint64(len(b)) {
			return nil, fmt.Errorf("element %d reaches beyond the page", i)
		}
		e.key = b[from : from+keyLength]
		e.value = b[from+keyLength : from+keyLength+valueLength]
		all[i] = e
	}
	return all, nil
}
