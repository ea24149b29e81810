package server

import (
	"bufio"
	"bytes"
	"io/fs"
	"math"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
)

// LimitMemory has the garbage collector keep below nine tenths of the memory that
// the container may have, as the chart does. Without a limit it lets the heap
// grow to a multiple of what is live, and the kernel ends the process. What the
// operator said prevails.
func LimitMemory(environ []string, root fs.FS) {
	if _, set := config.Lookup(environ, "GOMEMLIMIT"); set {
		return
	}
	if limit := containerMemory(root); limit < math.MaxInt64 {
		debug.SetMemoryLimit(limit / 10 * 9)
	}
}

// memoryLimit is what the collector keeps below, or 0 without a limit.
func memoryLimit() int64 {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return limit
	}
	return 0
}

// containerMemory is the smallest limit of the control groups that the process is
// in, or math.MaxInt64. Root is that of the file system.
//
// A group's limit counts for all below it, so each is looked at from the process'
// own upwards. Within a container the path may be that of the host, where there is
// no such directory; then the top is the container's.
func containerMemory(root fs.FS) int64 {
	limit := int64(math.MaxInt64)
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return limit // not on Linux
	}
	for lines := bufio.NewScanner(bytes.NewReader(groups)); lines.Scan(); {
		// As in "0::/kubepods/pod1", or "4:memory:/docker/1" of version 1.
		fields := strings.SplitN(lines.Text(), ":", 3)
		if len(fields) != 3 {
			continue
		}
		top, file := "sys/fs/cgroup", "memory.max"
		switch {
		case fields[1] == "memory":
			top, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case fields[1] != "":
			continue
		}
		for group := path.Clean("/" + fields[2]); ; group = path.Dir(group) {
			limit = min(limit, limitIn(root, path.Join(top, group, file)))
			if group == "/" {
				break
			}
		}
	}
	return limit
}

// limitIn reads a limit; "max", and what version 1 has for it, is none.
func limitIn(root fs.FS, file string) int64 {
	content, err := fs.ReadFile(root, file)
	if err != nil {
		return math.MaxInt64
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	if err != nil || limit <= 0 || limit >= 1<<60 {
		return math.MaxInt64
	}
	return limit
}

// Percentages for [SetGCPercent]. A relay has a few megabytes live, and the default would
// collect them fifty times a second under load. The desk has tens, and nobody who waits at
// a door waits for it.
const (
	GCPercent     = 200
	DeskGCPercent = 50
)

// SetGCPercent lets the heap grow by so much of what is live before it is collected,
// unless the operator set GOGC.
func SetGCPercent(environ []string, percent int) {
	if _, set := config.Lookup(environ, "GOGC"); !set {
		debug.SetGCPercent(percent)
	}
}
