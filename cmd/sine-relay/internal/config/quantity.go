package config

import (
	"reflect"
	"strconv"
	"strings"
	"time"
)

// sizeUnits are powers of 1024. Those of 1000 are refused: nobody could tell
// which of the two an operator meant by "KB".
var sizeUnits = map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

func splitSize(s string) (digits, unit string) {
	digits = strings.TrimRight(s, "BbKkMmGgTtIi ")
	return digits, strings.TrimSpace(s[len(digits):])
}

// parseSize reads bytes, alone or with a unit.
func parseSize(s string) (int64, bool) {
	digits, name := splitSize(strings.TrimSpace(s))
	unit, ok := sizeUnits[name]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 0 || n > (1<<62)/unit {
		return 0, false
	}
	return n * unit, true
}

// parseDuration reads what Go reads, and whole days.
func parseDuration(s string) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err == nil && n >= 0 && n <= 36500
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// misfit says what is wrong with a value, which is not secret: secrets are texts
// and always fit.
func (s setting) misfit(value string) string {
	switch {
	case s.unit == "duration":
		return noDuration(value)
	case s.unit == "bytes":
		return noSize(value)
	case s.kind == reflect.Bool:
		return strconv.Quote(value) + " is neither true nor false"
	default:
		return strconv.Quote(value) + " is not a whole number"
	}
}

func noDuration(value string) string {
	proposal := "write for example 500ms, 2.5s or 30d"
	if _, ok := parseDuration(value + "s"); ok {
		proposal = "did you mean " + value + "s?"
	}
	return strconv.Quote(value) + " is not a duration; " + proposal
}

func noSize(value string) string {
	proposal := "write for example 65536, 256KiB, 64MiB or 2GiB"
	if digits, unit := splitSize(value); unit != "" {
		meant := digits + strings.ToUpper(unit[:1]) + "iB"
		if _, ok := parseSize(meant); ok {
			proposal = "did you mean " + meant + "?"
		}
	}
	return strconv.Quote(value) + " is not a size; " + proposal
}
