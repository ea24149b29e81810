//go:build linux

package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestAttacks_BrokenBoundIsReported(t *testing.T) {
	within := func() result {
		return result{
			assault: assault{Name: "idle"}, memory: memoryLimit - 1, open: &connections{now: 10, limit: 10},
			attacked: calls{took: []time.Duration{time.Millisecond}, failed: map[string]int{}},
		}
	}
	for _, c := range []struct {
		name   string
		change func(*result)
		want   string
	}{
		{"nothing", func(*result) {}, ""},
		{"too much memory", func(r *result) { r.memory = memoryLimit }, "the relay took 256 MiB"},
		{"a call that failed", func(r *result) { r.attacked.failed["answered 503"] = 2 }, "2 honest calls failed: answered 503"},
		{"no call at all", func(r *result) { r.attacked.took = nil }, "no honest call was answered"},
		{"too many connections", func(r *result) { r.open.now = 11 }, "11 connections are open, and 10 may be"},
		{"a relay that does not tell", func(r *result) { r.open = nil }, "does not tell"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := within()
			c.change(&r)
			err := errors.Join(r.broken()...)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("found %v, want %q", err, c.want)
			}
		})
	}
}

func TestAttacks_QuantilesAreOfSortedLatencies(t *testing.T) {
	var c calls
	if c.quantile(.99) != 0 {
		t.Error("of nothing")
	}
	for n := range 100 {
		c.took = append(c.took, time.Duration(100-n)*time.Millisecond)
	}
	if c.quantile(.5) != 51*time.Millisecond || c.quantile(.99) != 100*time.Millisecond {
		t.Errorf("%s, %s", c.quantile(.5), c.quantile(.99))
	}
}

// What is sent is as large as it is said to be, and what it is said to be.
func TestAttacks_PayloadsHaveTheirStatedSizes(t *testing.T) {
	if n := len(largeBody(255, 1000)); n < bodyBytes-10 || n > bodyBytes+10 {
		t.Errorf("a body of %d bytes", n)
	}
	if n := len(longReply()); n > replyBytes || n < replyBytes-200 {
		t.Errorf("a reply of %d bytes", n)
	}
	if n := len(lines()); n > 16<<10 {
		t.Errorf("a header of %d bytes, which the relay refuses for its length", n)
	}
}
