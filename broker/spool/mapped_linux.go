package spool

import (
	"syscall"
	"unsafe"

	bolt "go.etcd.io/bbolt"
)

// dropMapped takes what was read of the file out of the process's memory: it stays
// in the kernel's, where it can be given up at any time. bbolt maps the file and,
// with each message that is put, reads those beside it, so that in the end the
// whole file would count as the relay's. size must not exceed what is mapped, or
// other memory would be lost, and nobody may map the file anew meanwhile, which
// only a writer does.
func dropMapped(db *bolt.DB, size int64) {
	info := db.Info()
	if info.Data == 0 || size <= 0 {
		return
	}
	start := *(*unsafe.Pointer)(unsafe.Pointer(&info.Data))
	_ = syscall.Madvise(unsafe.Slice((*byte)(start), size), syscall.MADV_DONTNEED) // or it stays
}
