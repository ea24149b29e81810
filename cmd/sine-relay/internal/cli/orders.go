package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/visit"
)

// orderList is what `orders --output json` prints.
type orderList struct {
	Orders []listedOrder `json:"orders"`
	Relays []listedRelay `json:"relays"`
}

type listedOrder struct {
	visit.Order
	ID      string `json:"id"`
	InForce bool   `json:"inForce"`
	// Stored is unset for an order that relays obey and the bucket does not have.
	Stored bool `json:"stored"`
	// ObeyedBy counts relays, of those that have the order's site.
	ObeyedBy int `json:"obeyedBy"`
	Relays   int `json:"relays"`
}

type listedRelay struct {
	ID      string    `json:"id"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	visit.RelayStatus
}

func newOrders(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "orders", Short: "List the standing orders, lockdowns and overrides, and the relays that obey them.",
		Example: "  sine-relay orders --output json",
	}
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return listOrders(cmd.Context(), in, *format) }
	return cmd
}

// listOrders shows what was ordered, of both kinds, and which relays obey it. What
// relays obey is shown whatever the bucket has.
func listOrders(ctx context.Context, in Process, format string) error {
	settings, err := operatorSettings(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	cfg := server.AdminConfig(settings)
	book, err := admin.FindBook(ctx, cfg)
	if err != nil && !errors.Is(err, orders.ErrNoBucket) {
		return err
	}
	if err != nil {
		relays, asked := admin.FindRelays(ctx, cfg)
		return errors.Join(showOrders(in.Stdout, format, nil, relays), err, asked)
	}
	defer book.Close()
	relays, asked := book.Relays(ctx) // first: what is lifted meanwhile is still in the bucket
	all, err := book.List(ctx)
	return errors.Join(showOrders(in.Stdout, format, all, relays), err, asked)
}

func showOrders(out io.Writer, format string, stored []visit.Order, relays []visit.Relay) error {
	list := listOf(stored, relays)
	if format == asJSON {
		return printJSON(out, list)
	}
	showOrderTable(out, list.Orders)
	fmt.Fprintln(out)
	showRelays(out, relays)
	return nil
}

// listOf has the orders of the bucket first, and behind them those that relays obey
// although the bucket does not have them.
func listOf(stored []visit.Order, relays []visit.Relay) orderList {
	list := orderList{Orders: []listedOrder{}, Relays: []listedRelay{}}
	for _, o := range stored {
		listed := listedOrder{Order: o, ID: o.Identity(), InForce: o.InForce(time.Now()), Stored: true}
		listed.ObeyedBy, listed.Relays = obeyedBy(relays, o)
		list.Orders = append(list.Orders, listed)
	}
	for _, o := range unlistedOrders(relays, stored) {
		listed := listedOrder{Order: visit.Order{Kind: o.Kind, Site: o.Site}, ID: o.ID, InForce: true}
		listed.ObeyedBy, listed.Relays = obeyedBy(relays, visit.Order{Site: o.Site, ID: o.ID})
		list.Orders = append(list.Orders, listed)
	}
	for _, r := range relays {
		list.Relays = append(list.Relays, listedRelay{r.ID, r.Version, r.Started, r.RelayStatus})
	}
	return list
}

// maxUnlisted bounds what relays say that the bucket does not have: whoever answers
// as a relay may say anything.
const maxUnlisted = 20

func showOrderTable(out io.Writer, all []listedOrder) {
	if len(all) == 0 {
		fmt.Fprintln(out, "There is no lockdown and no override.")
		return
	}
	table, unlisted := newTable(out, "ORDER", "SITE", "IN FORCE", "SINCE", "BY", "NATS USER", "REASON", "MESSAGE", "OBEYED BY", "ID"), 0
	for _, o := range all {
		state, obeyed := untilWords(o.Order), fmt.Sprintf("%d of %s", o.ObeyedBy, plural(o.Relays, "relay"))
		switch {
		case !o.Stored:
			if unlisted++; unlisted <= maxUnlisted {
				table.row(o.Kind, siteCell(o.Site), "not stored", "", "", "", "", "", obeyed, o.ID)
			}
			continue
		case !o.InForce:
			state, obeyed = "has ended", ""
		}
		table.row(o.Kind, siteCell(o.Site), state, formatTime(o.Since), o.By, userWords(o.Order), o.Reason, o.Message, obeyed, o.ID)
	}
	table.flush()
	if more := unlisted - maxUnlisted; more > 0 {
		fmt.Fprintf(out, "%d more orders are obeyed and not stored.\n", more)
	}
	if unlisted > 0 {
		fmt.Fprintln(out, "\nRelays obey orders that NATS does not store: their bucket was purged, deleted or restored.\nA relay that starts now does not know them. Give such an order again, or lift it.")
	}
}

// unlistedOrders are those that relays obey and that are not among all, each once.
func unlistedOrders(relays []visit.Relay, all []visit.Order) (unlisted []visit.RelayOrder) {
	seen := map[string]bool{}
	for _, o := range all {
		seen[o.Identity()] = true
	}
	for _, r := range relays {
		for _, o := range r.Orders {
			if !seen[o.ID] {
				unlisted = append(unlisted, o)
			}
			seen[o.ID] = true
		}
	}
	return unlisted
}

// obeyedBy counts the relays that have an order's site, and those of them that obey it.
func obeyedBy(relays []visit.Relay, o visit.Order) (obey, concerned int) {
	for _, r := range relays {
		if !concerns(r, o.Site) {
			continue
		}
		concerned++
		if slices.ContainsFunc(r.Orders, isOrder(o.Identity())) {
			obey++
		}
	}
	return obey, concerned
}

// showRelays lists the relays with what they know about orders.
func showRelays(out io.Writer, relays []visit.Relay) {
	if len(relays) == 0 {
		fmt.Fprintln(out, "No relay answered.")
		return
	}
	table := newTable(out, "RELAY", "VERSION", "STATE", "ORDERS", "REVISION", "OBEYS", "SITES", "SPOOLED", "UP SINCE")
	for _, r := range relays {
		table.row(r.ID, r.Version, r.State, knownWords(r), r.OrdersRevision, obeyedWords(r), r.SiteCount, r.Spooled, formatTime(r.Started))
	}
	table.flush()
}

func knownWords(r visit.Relay) string {
	switch {
	case r.OrdersKnown:
		return "known"
	case r.OrdersReadAt.IsZero():
		return "never read"
	default:
		return "unknown since " + formatTime(r.OrdersReadAt)
	}
}

func obeyedWords(r visit.Relay) string {
	var all []string
	for _, o := range r.Orders {
		words := fmt.Sprintf("%s of %s", o.Kind, siteWords(o.Site))
		if o.Lost {
			words += " (no longer in the bucket)"
		}
		all = append(all, words)
	}
	if all == nil {
		return "none"
	}
	return strings.Join(all, ", ")
}

func userWords(o visit.Order) string {
	if o.User == "" {
		return "unknown"
	}
	return o.User + " of " + o.Account
}

func siteWords(site string) string {
	if site == visit.AllSites {
		return "all sites"
	}
	return "site " + terminal.Printable(site)
}

func siteCell(site string) string {
	if site == visit.AllSites {
		return "all sites"
	}
	return site
}

func untilWords(o visit.Order) string {
	if o.Until.IsZero() {
		return "until it is lifted"
	}
	return "until " + formatTime(o.Until)
}
