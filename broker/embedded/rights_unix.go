//go:build unix

package embedded

import "io/fs"

// shared reports whether anybody but the owner has rights to a file.
func shared(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }
