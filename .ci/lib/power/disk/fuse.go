package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// What of the kernel's protocol a file system of one file needs: linux/fuse.h.
const (
	opForget      = 2
	opGetattr     = 3
	opSetattr     = 4
	opOpen        = 14
	opRead        = 15
	opWrite       = 16
	opRelease     = 18
	opFsync       = 20
	opFlush       = 25
	opInit        = 26
	opInterrupt   = 36
	opBatchForget = 42

	major, minor = 7, 31
	openDirectIO = 1 // every read and write comes here: the kernel caches nothing
	maxWrite     = 1 << 17
)

type inHeader struct {
	Length, Op             uint32
	Unique, Node           uint64
	UID, GID, PID, Padding uint32
}

type outHeader struct {
	Length uint32
	Errno  int32
	Unique uint64
}

type initOut struct {
	Major, Minor, MaxReadahead, Flags  uint32
	MaxBackground, CongestionThreshold uint16
	MaxWrite, TimeGranularity          uint32
	MaxPages, MapAlignment             uint16
	Flags2, MaxStackDepth              uint32
	RequestTimeout                     uint16
	Unused                             [11]uint16
}

type attrOut struct {
	Valid                                         uint64
	ValidNsec, Padding                            uint32
	Ino, Size, Blocks, Atime, Mtime, Ctime        uint64
	AtimeNsec, MtimeNsec, CtimeNsec               uint32
	Mode, Links, UID, GID, Rdev, BlockSize, Flags uint32
}

type openOut struct {
	Handle         uint64
	Flags, Padding uint32
}

// readWriteIn begins both a read and a write.
type readWriteIn struct {
	Handle, Offset  uint64
	Size, ModeFlags uint32
	LockOwner       uint64
	Flags, Padding  uint32
}

type writeOut struct{ Size, Padding uint32 }

// server answers the kernel for one disk.
type server struct {
	disk   *disk
	device int
}

// serve answers requests until the disk is unmounted. Several may serve at once.
func (s *server) serve() error {
	buffer := make([]byte, maxWrite+os.Getpagesize())
	for {
		n, err := syscall.Read(s.device, buffer)
		switch {
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EAGAIN):
			continue // the request was taken back
		case errors.Is(err, syscall.ENODEV):
			return nil
		case err != nil:
			return fmt.Errorf("read /dev/fuse: %w", err)
		}
		if err := s.answer(buffer[:n]); err != nil {
			return err
		}
	}
}

func (s *server) answer(request []byte) error {
	var in inHeader
	n, err := binary.Decode(request, binary.NativeEndian, &in)
	if err != nil {
		return fmt.Errorf("a request of FUSE: %w", err)
	}
	if in.Op == opForget || in.Op == opBatchForget || in.Op == opInterrupt {
		return nil // they have no answer
	}
	out := outHeader{Unique: in.Unique}
	body, err := s.do(in.Op, request[n:])
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		out.Errno = -int32(errno)
	case err != nil:
		return err
	}
	out.Length = uint32(binary.Size(out) + len(body))
	answer, err := binary.Append(nil, binary.NativeEndian, out)
	if err != nil {
		return err
	}
	_, err = syscall.Write(s.device, append(answer, body...))
	if errors.Is(err, syscall.ENOENT) {
		return nil // it was taken back meanwhile
	}
	return err
}

// do returns an errno for what the kernel is to be refused.
func (s *server) do(op uint32, request []byte) (answer []byte, err error) {
	switch op {
	case opInit:
		return encode(initOut{Major: major, Minor: minor, MaxWrite: maxWrite})
	case opGetattr, opSetattr:
		return encode(attrOut{Ino: 1, Size: uint64(s.disk.size), Mode: syscall.S_IFREG | 0o600, Links: 1, BlockSize: 4096})
	case opOpen:
		return encode(openOut{Flags: openDirectIO})
	case opRead, opWrite:
		return s.transfer(op, request)
	case opFsync:
		return nil, s.disk.flush()
	case opFlush, opRelease:
		return nil, nil
	default:
		return nil, syscall.ENOSYS
	}
}

func (s *server) transfer(op uint32, request []byte) ([]byte, error) {
	var in readWriteIn
	n, err := binary.Decode(request, binary.NativeEndian, &in)
	if err != nil {
		return nil, fmt.Errorf("a request of FUSE: %w", err)
	}
	if op == opRead {
		return s.disk.read(int64(in.Offset), int(in.Size))
	}
	if err := s.disk.write(int64(in.Offset), request[n:]); err != nil {
		return nil, err
	}
	return encode(writeOut{Size: in.Size})
}

func encode(v any) ([]byte, error) { return binary.Append(nil, binary.NativeEndian, v) }
