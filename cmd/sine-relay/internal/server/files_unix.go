//go:build unix

package server

import "syscall"

// openFiles is how many files the process may have open. Go has raised it to the
// hard limit by now.
func openFiles() (limit uint64, known bool) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, false
	}
	return uint64(r.Cur), true
}
