//go:build !linux && !darwin

package spool

// diskSpace is not known here.
func diskSpace(string) (free, size int64, err error) { return 0, 0, nil }
