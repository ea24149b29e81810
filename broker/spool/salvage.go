package spool

import "io"

// salvage looks for entries in every page of a file, for those that no tree
// leads to any more: the pages that tie it together are few, and the newest of
// them stand at the end, where a file is cut off. An entry's own checksum tells
// it from anything else. Some may have been removed before; the stream knows them
// again for as long as it remembers ids, and losing a visitor would be worse.
func (c *contents) salvage(f io.ReaderAt, pages uint64) {
	known := make(map[uint64]bool, len(c.records))
	for _, r := range c.records {
		known[r.sequence] = true
	}
	for id := uint64(2); id < pages; id++ {
		b, err := readPage(f, id, pages)
		if err != nil || native.Uint16(b[8:]) != flagLeaf {
			continue
		}
		c.salvageLeaf(b, known)
	}
}

// salvageLeaf takes in what is legible of a leaf. A small bucket is a leaf within
// a value.
func (c *contents) salvageLeaf(b []byte, known map[uint64]bool) {
	all, err := elements(b)
	if err != nil {
		return
	}
	for _, e := range all {
		if inner := e.value; e.bucket && len(inner) > 2*headSize && native.Uint16(inner[headSize+8:]) == flagLeaf {
			c.salvageLeaf(inner[headSize:], known)
			continue
		}
		if len(e.key) != keySize || known[sequenceOf(e.key)] {
			continue
		}
		if c.leaf(bucketEntries, e.key, e.value) == nil {
			known[sequenceOf(e.key)] = true
		}
	}
}
