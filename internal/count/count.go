// Package count writes numbers of things as people read them.
package count

import "fmt"

// Of is n with the words for one or for many: "1 message waits", "2 messages wait",
// "0 messages wait".
func Of[N ~int | ~int64 | ~uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
