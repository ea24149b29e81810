package orders

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Deaf is why a lockdown that is given now would not be heard of, or would be
// forgotten at the next start, or nil.
func (w *Watcher) Deaf() error {
	s := w.Status()
	err := errors.Join(s.Err, s.SnapshotErr)
	if err == nil && !s.Known && s.Source != SourceNone {
		err = errors.New(w.unknown(s))
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("lockdowns and overrides: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
}

// Fault is why a person must help before the orders can be known, or nil.
func (w *Watcher) Fault() error {
	s := w.Status()
	switch {
	case s.Unfit != nil:
		return fmt.Errorf("lockdowns and overrides: %w", s.Unfit)
	case errors.Is(s.Err, visit.ErrDenied):
		return fmt.Errorf("lockdowns and overrides: %w", s.Err)
	default:
		return nil
	}
}

// unknown says why the orders are not known.
func (w *Watcher) unknown(s Status) string {
	const then = "; only deciders accept visitors, and known lockdowns stay in force"
	switch {
	case s.Source == SourceNone:
		return "unknown; no visitor is accepted without a decider"
	case s.Unfit != nil:
		return "unknown: " + s.Unfit.Error() + then
	case len(s.Doubt) > 0:
		return "unknown: a lockdown may have been evicted from the bucket (" + strings.Join(s.Doubt, ", ") + "): give it again, or lift it; only deciders accept visitors there"
	case s.Age < w.cfg.MaxAge:
		return "unknown: not read yet for all sites" + then
	default:
		return fmt.Sprintf("unknown: last read %s ago%s", s.Age.Round(time.Second), then)
	}
}

// Lines say where the orders stand for somebody who looks closer.
func (w *Watcher) Lines() []string {
	s := w.Status()
	lines := []string{fmt.Sprintf("orders: from %s, as of %s", s.Source, s.AsOf.UTC().Format(time.RFC3339))}
	if len(s.Lost) > 0 {
		lines[0] += fmt.Sprintf(", and %d that are no longer in the bucket", len(s.Lost))
	}
	if !s.Known {
		lines = []string{"orders: " + w.unknown(s)}
	}
	for _, err := range []error{s.Err, s.SnapshotErr} {
		if err != nil {
			lines = append(lines, "orders: "+err.Error())
		}
	}
	for _, d := range s.Drift {
		lines = append(lines, fmt.Sprintf("orders: the bucket's %s is %s, expected %s", d.Field, d.Found, d.Wanted))
	}
	for _, err := range s.Invalid {
		lines = append(lines, "orders: "+err.Error())
	}
	for _, o := range s.Lost {
		lines = append(lines, fmt.Sprintf("orders: the %s of %s is no longer in the bucket, and stays in force until it is lifted; give it again so that relays that restart know it", o.Kind, siteName(o.Site)))
	}
	if s.Foreign > 0 {
		lines = append(lines, fmt.Sprintf("orders: %d keys of the bucket are for sites of other relays", s.Foreign))
	}
	for _, o := range w.InForce() {
		lines = append(lines, fmt.Sprintf("orders: %s of %s in force, given by %q%s", o.Kind, siteName(o.Site), o.By, asUser(o)))
	}
	return lines
}

// InForce are the orders in force that are obeyed: an override only where the orders
// are known.
func (w *Watcher) InForce() (obeyed []visit.Order) {
	all, _ := w.Orders()
	for _, o := range all {
		_, known := w.OrdersAt(o.Site)
		if o.InForce(time.Now()) && (known || o.Kind == visit.OrderLockdown) {
			obeyed = append(obeyed, o)
		}
	}
	return obeyed
}

// asUser is who gave an order as NATS knows it.
func asUser(o visit.Order) string {
	if o.User == "" {
		return ""
	}
	return fmt.Sprintf(" as NATS user %q", o.User)
}

func siteName(site string) string {
	if site == visit.AllSites {
		return "all sites"
	}
	return "site " + site
}

// Obeyed are the orders of [Watcher.InForce] as a relay announces them, up to the
// number that an announcement may hold.
func (w *Watcher) Obeyed() []visit.RelayOrder {
	lost := map[string]bool{}
	for _, o := range w.Status().Lost {
		lost[o.Identity()] = true
	}
	named := []visit.RelayOrder{}
	for _, o := range w.InForce() {
		if len(named) < visit.MaxRelaySites {
			named = append(named, visit.RelayOrder{Kind: o.Kind, Site: o.Site, ID: o.Identity(), Lost: lost[o.Identity()]})
		}
	}
	return named
}
