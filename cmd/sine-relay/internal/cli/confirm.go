package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/internal/pause"
	"github.com/sine-relay/sine-relay/visit"
)

// confirmInterval is between two questions to the relays whether they obey.
const confirmInterval = 100 * time.Millisecond

// confirmation is what relays are asked after an order.
type confirmation struct {
	before []visit.Relay // those that were there before it
	asked  error         // why they could not be asked
	site   string
	wait   time.Duration
	obeys  func(visit.Relay) bool
}

// confirm waits until every relay that an order concerns obeys it, and shows which
// do. It returns an error where one does not, or none is there.
func confirm(ctx context.Context, in Process, b *admin.Book, c confirmation) error {
	if c.asked != nil {
		return fmt.Errorf("it is stored, and whether a relay obeys it could not be asked: %w", c.asked)
	}
	deadline := time.Now().Add(c.wait)
	for {
		last := time.Now().After(deadline) // one look is always after it
		now, err := b.Relays(ctx)
		if err != nil {
			return fmt.Errorf("it is stored, and whether a relay obeys it could not be asked: %w", err)
		}
		answers := c.answers(now)
		if answers.complete() || last || ctx.Err() != nil {
			return answers.show(in, c.site)
		}
		pause.For(ctx, confirmInterval)
	}
}

// answers are those of the relays that an order concerns: what each says of itself.
type answers struct {
	obey, disobey, silent, elsewhere []string
}

func (c confirmation) answers(now []visit.Relay) answers {
	var a answers
	for _, r := range now {
		switch {
		case !concerns(r, c.site):
			a.elsewhere = append(a.elsewhere, r.ID)
		case c.obeys(r):
			a.obey = append(a.obey, terminal.Printable(r.ID))
		default:
			a.disobey = append(a.disobey, fmt.Sprintf("%s (%s, orders %s)", terminal.Printable(r.ID), terminal.Printable(r.State), knownWords(r)))
		}
	}
	for _, r := range c.before {
		gone := !slices.ContainsFunc(now, func(n visit.Relay) bool { return n.ID == r.ID })
		if gone && concerns(r, c.site) {
			a.silent = append(a.silent, terminal.Printable(r.ID))
		}
	}
	return a
}

func (a answers) complete() bool {
	return len(a.obey) > 0 && len(a.disobey) == 0 && len(a.silent) == 0
}

func (a answers) show(in Process, site string) error {
	for _, group := range []struct {
		text string
		ids  []string
	}{
		{"Obeyed by", a.obey}, {"Not obeyed by", a.disobey}, {"No answer from", a.silent},
	} {
		if len(group.ids) > 0 {
			fmt.Fprintf(in.Stdout, "%s %s: %s\n", group.text, plural(len(group.ids), "relay"), strings.Join(group.ids, ", "))
		}
	}
	switch {
	case len(a.obey)+len(a.disobey)+len(a.silent) == 0 && len(a.elsewhere) > 0:
		return fmt.Errorf("it is stored, and no relay obeys it: %s answered, and none has %s", plural(len(a.elsewhere), "relay"), siteWords(site))
	case len(a.obey)+len(a.disobey)+len(a.silent) == 0:
		return errors.New("it is stored, and no relay obeys it: none answered. A relay that cannot reach NATS now reads it later")
	case !a.complete():
		return errors.New("it is stored, and not every relay obeys it")
	default:
		return nil
	}
}

// concerns reports whether a relay has a site, or may have it.
func concerns(r visit.Relay, site string) bool {
	return site == visit.AllSites || r.SiteCount > len(r.Sites) || slices.Contains(r.Sites, site)
}
