package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/visit"
)

// replacedWait bounds how long an order waits to know what it replaces.
const replacedWait = time.Second

// replacedBy looks meanwhile which order in force another one is about to replace, and
// returns what to say about it. An order waits a moment for that at most.
func replacedBy(ctx context.Context, b *broker.Book, o visit.Order) func() string {
	ctx, cancel := context.WithTimeout(ctx, replacedWait)
	found := make(chan string, 1)
	go func() {
		defer cancel()
		all, err := b.List(ctx)
		i := slices.IndexFunc(all, func(old visit.Order) bool {
			return old.Kind == o.Kind && old.Site == o.Site && old.InForce(time.Now())
		})
		switch {
		case i >= 0:
			old := all[i]
			found <- fmt.Sprintf("It replaces the %s of %s that %s gave at %s, %s%s%s.\n", old.Kind, siteWords(old.Site), terminal.Printable(old.By), formatTime(old.Since), untilWords(old),
				said("reason", old.Reason), said("message", old.Message))
		case err != nil && !errors.Is(err, orders.ErrInvalid):
			found <- "Whether it replaces another one could not be read: " + terminal.PrintableError(err) + "\n"
		default:
			found <- ""
		}
	}()
	return func() string { return <-found }
}

func said(name, text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf(", %s %s", name, strconv.Quote(text))
}
