//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// result is what an attack did.
type result struct {
	assault             assault
	alone, attacked     calls
	memoryAlone, memory int64 // that the limit is about
	resident            int64 // all of it
	attackers           tally
	open                *connections // nil where the relay does not say
}

const heading = `| Attack | Alone, MiB | Attacked, MiB | Alone, ms | Attacked, ms | p99 ratio | Honest calls | The attackers |
|---|---|---|---|---|---|---|---|
`

func (r result) row() string {
	var failed []string
	for _, why := range slices.Sorted(maps.Keys(r.attacked.failed)) {
		failed = append(failed, fmt.Sprintf("%d %s", r.attacked.failed[why], why))
	}
	honest := fmt.Sprintf("%d, none failed", len(r.attacked.took))
	if len(failed) > 0 {
		honest = fmt.Sprintf("%d, and failed: %s", len(r.attacked.took), strings.Join(failed, "; "))
	}
	return fmt.Sprintf("| %s | %d | %d (%d) | %s | %s | %.1f | %s | %s |\n", r.assault.Name,
		r.memoryAlone>>20, r.memory>>20, r.resident>>20, r.alone.quantiles(), r.attacked.quantiles(), float64(r.attacked.quantile(.99))/float64(r.alone.quantile(.99)),
		honest, r.attackers)
}

// broken are the bounds that did not hold.
func (r result) broken() (all []error) {
	fault := func(format string, args ...any) { all = append(all, fmt.Errorf(r.assault.Name+": "+format, args...)) }
	if r.memory >= memoryLimit {
		fault("the relay took %d MiB, and the chart gives it %d", r.memory>>20, memoryLimit>>20)
	}
	if n := len(r.attacked.took); n == 0 {
		fault("no honest call was answered")
	}
	for why, n := range r.attacked.failed {
		fault("%d honest calls failed: %s", n, why)
	}
	if r.open != nil && r.open.now > r.open.limit {
		fault("%d connections are open, and %d may be", r.open.now, r.open.limit)
	}
	if r.open == nil {
		fault("the relay does not tell its connections")
	}
	return all
}

func (c calls) quantiles() string {
	return fmt.Sprintf("%s / %s", milliseconds(c.quantile(.5)), milliseconds(c.quantile(.99)))
}

func (c calls) quantile(q float64) time.Duration {
	if len(c.took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(c.took))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1000) }
