//go:build !unix

package spool

import "os"

const openFlags = 0

// flock does nothing where the system has none: there only one process may be
// started with a directory.
func flock(*os.File) error { return nil }

func unlock(*os.File) {}
