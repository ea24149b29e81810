package main

import "fmt"

// otherFiles is what the relay has open beside Sine's connections: NATS, the spool,
// the admin listener.
const otherFiles = 128

// fewFiles says that the limit of open files is reached before that of connections:
// then nobody makes room, and newcomers wait until somebody leaves. Otherwise it is
// empty.
func fewFiles(limit uint64, connections int) string {
	if limit >= uint64(connections)+otherFiles {
		return ""
	}
	return fmt.Sprintf("the process may open %d files, too few for SINE_RELAY_MAX_CONNECTIONS=%d and %d others: raise the limit of open files (ulimit -n, LimitNOFILE) or lower the setting", limit, connections, otherFiles)
}
