package config

import (
	"strings"
	"testing"
	"time"
)

func TestSizesAndDurations(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "65536": 65536, "64 KiB": 64 << 10, "2GiB": 2 << 30, "7B": 7, "1KB": -1, "-1": -1, "x": -1, "9999999999TiB": -1, "": -1} {
		if got, ok := parseSize(text); ok != (want >= 0) || (ok && got != want) {
			t.Errorf("size %q: %d %v", text, got, ok)
		}
	}
	for text, want := range map[string]time.Duration{"30d": 720 * time.Hour, "2.5s": 2500 * time.Millisecond, "0d": 0, "-1d": -1, "1.5d": -1, "x": -1} {
		if got, ok := parseDuration(text); ok != (want >= 0) || (ok && got != want) {
			t.Errorf("duration %q: %s %v", text, got, ok)
		}
	}
}

func TestProposalsForSizesAndDurations(t *testing.T) {
	for value, want := range map[string]string{"1MB": "1MiB", "64kb": "64KiB", "2G": "2GiB", "10m": "10MiB", "1.5GB": "for example", "x": "for example", "5XB": "for example"} {
		if got := noSize(value); !strings.Contains(got, want) {
			t.Errorf("size %s: %s", value, got)
		}
	}
	for value, want := range map[string]string{"30": "30s", "2.5": "2.5s", "2x": "for example", "1 day": "for example"} {
		if got := noDuration(value); !strings.Contains(got, want) {
			t.Errorf("duration %s: %s", value, got)
		}
	}
}
