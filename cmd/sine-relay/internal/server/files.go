package server

import (
	"fmt"

	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
)

// otherFiles is what the relay has open beside Sine's connections: NATS, the segments
// of the spool, the admin listener.
const otherFiles = 512

// fewFiles says that the limit of open files is reached before that of connections:
// then nobody makes room, and newcomers wait until somebody leaves. Otherwise it is
// empty.
func fewFiles(limit uint64, connections int) string {
	if limit >= uint64(connections)+otherFiles {
		return ""
	}
	return fmt.Sprintf("the process may open %d files, too few for SINE_RELAY_MAX_CONNECTIONS=%d and %d others: raise the limit of open files (ulimit -n, LimitNOFILE) or lower the setting", limit, connections, otherFiles)
}

// SmallDisk says that the spool's disk cannot hold what may wait there. It is empty
// where the disk can, where there is no directory yet, and where the system does
// not say.
func SmallDisk(s config.Settings) string {
	if s.SpoolDir == "" {
		return ""
	}
	disk, err := spool.SpaceOf(s.SpoolDir)
	if err != nil || disk.Size == 0 || disk.Left/2 >= s.SpoolMaxBytes {
		return ""
	}
	return fmt.Sprintf("SINE_RELAY_SPOOL_MAX_BYTES: %d bytes may wait in %s, for which its disk should have twice as much, and it has room for %d: lower the limit or enlarge the disk",
		s.SpoolMaxBytes, s.SpoolDir, disk.Left)
}
