//go:build !unix

package embedded

import "io/fs"

// shared is false: this system does not keep rights in a file's mode.
func shared(fs.FileInfo) bool { return false }
