//go:build linux && faults

package faults

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metrics are what a relay counts, by name with labels as the relay writes them.
type metrics map[string]float64

func parseMetrics(text io.Reader) metrics {
	m := metrics{}
	for lines := bufio.NewScanner(text); lines.Scan(); {
		name, number, found := cutLast(lines.Text(), " ")
		value, err := strconv.ParseFloat(number, 64)
		if found && err == nil && !strings.HasPrefix(name, "#") {
			m[name] = value
		}
	}
	return m
}

func cutLast(s, separator string) (before, after string, found bool) {
	at := strings.LastIndex(s, separator)
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+len(separator):], true
}

// settled is the ledger's entry of a result, one integration being all there is.
func (m metrics) settled(result string) int {
	return int(m[fmt.Sprintf(`sine_relay_events_settled_total{integration="default",result=%q}`, result)])
}

func (m metrics) received() int {
	return int(m[`sine_relay_events_received_total{integration="default"}`])
}

func (m metrics) spool(name string) int { return int(m["sine_relay_spool_"+name]) }

var scraper = &http.Client{Timeout: 5 * time.Second}

// read asks the relay for its metrics, and keeps them as the last of this life.
func (r *relay) read() (metrics, error) {
	at, life := r.where()
	if at.admin == "" {
		return nil, fmt.Errorf("relay %d does not run", r.number)
	}
	answer, err := scraper.Get(at.admin + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read metrics of relay %d: %w", r.number, err)
	}
	defer answer.Body.Close()
	m := parseMetrics(answer.Body)
	if len(m) == 0 {
		return nil, fmt.Errorf("relay %d has no metrics", r.number)
	}
	r.now.Lock()
	defer r.now.Unlock()
	r.known[life] = m
	return m, nil
}

// ready reports whether the relay says that it is.
func (r *relay) ready() bool { return r.readiness() == "ready\n" }

// readiness is what the relay says of itself, or empty.
func (r *relay) readiness() string {
	at, _ := r.where()
	answer, err := scraper.Get(at.admin + "/readyz")
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return ""
	}
	return string(body)
}
