package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/internal/pause"
	"github.com/sine-relay/sine-relay/visit"
)

// Standing orders: a lockdown rejects every visitor of a site, an override lets them in
// without a decider. Every relay obeys within a second.

const (
	// confirmTimeout is how long the commands wait for relays to obey.
	confirmTimeout = 5 * time.Second
	// replacedTimeout bounds how long an order waits to know what it replaces.
	replacedTimeout = time.Second
)

func newLockdown(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "lockdown", Short: "Reject every visitor of a site.",
		Long: "It lasts until it is lifted, or as long as --for says, and prevails over overrides and deciders. The\n" +
			"command waits until every relay of the site obeys, and ends with 1 where one does not.",
		Example: "  sine-relay lockdown --site hq --message 'Please leave the building.'\n  sine-relay lockdown lift --site hq",
	}
	start := startOrder{order: visit.Order{Kind: visit.OrderLockdown}}
	start.flags(cmd, in)
	cmd.Flags().StringVar(&start.order.Reason, "reason", "", "`text` that says why, for the record")
	addDuration(cmd.Flags(), &start.lasts, "for", 0, "how long it lasts, as in 30m or 2d; without it, until it is lifted")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return start.run(cmd.Context(), in) }
	cmd.AddCommand(newLift(in, visit.OrderLockdown, "End a lockdown."))
	return cmd
}

func newOverride(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "override", Short: "Let every visitor of a site in without a decider, for a while.",
		Long: "It needs --accept, --for and --reason. A lockdown prevails over it. The command waits until every\n" +
			"relay of the site obeys, and ends with 1 where one does not.",
		Example: "  sine-relay override --site hq --accept --for 30m --reason 'badge system is down'\n  sine-relay override lift --site hq",
	}
	start, accept := startOrder{order: visit.Order{Kind: visit.OrderOverride}}, false
	start.flags(cmd, in)
	cmd.Flags().BoolVar(&accept, "accept", false, "say that you know: every visitor is let in without a check")
	cmd.Flags().StringVar(&start.order.Reason, "reason", "", "`text` that says why, for the record")
	addDuration(cmd.Flags(), &start.lasts, "for", 0, "how long it lasts, as in 30m")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !accept {
			return usagef("--accept is missing: every visitor is let in without a check")
		}
		return start.run(cmd.Context(), in)
	}
	cmd.AddCommand(newLift(in, visit.OrderOverride, "End an override."))
	return cmd
}

func newLift(in Process, kind visit.OrderKind, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "lift", Short: short,
		Example: fmt.Sprintf("  sine-relay %s lift --site hq --reason 'all clear'", kind),
	}
	var at place
	lift := visit.Lift{Kind: kind}
	at.flags(cmd)
	cmd.Flags().StringVar(&lift.By, "by", whoami(in.Environ), "`name` of whoever lifts it")
	cmd.Flags().StringVar(&lift.Reason, "reason", "", "`text` that says why, for the record")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if lift.Site, err = at.site(); err != nil {
			return err
		}
		return liftOrder(cmd.Context(), in, lift, at.wait)
	}
	return cmd
}

// place is where an order is given, and how long to wait for its relays.
type place struct {
	one  string
	all  bool
	wait time.Duration
}

func (p *place) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.one, "site", "", "the `site`")
	cmd.Flags().BoolVar(&p.all, "all-sites", false, "every site")
	addDuration(cmd.Flags(), &p.wait, "wait", confirmTimeout, "how long to wait until the relays obey, at most 1m")
}

// site is the one that is meant, of which there must be exactly one.
func (p *place) site() (string, error) {
	switch {
	case p.wait < 0 || p.wait > time.Minute:
		return "", usagef("--wait must be between 0s and 1m")
	case p.all == (p.one != ""):
		return "", usagef("either --site or --all-sites is needed")
	case p.all:
		return visit.AllSites, nil
	default:
		return p.one, nil
	}
}

// startOrder is a new order as its command line has it.
type startOrder struct {
	place
	order       visit.Order
	lasts       time.Duration
	unknownSite bool
}

func (s *startOrder) flags(cmd *cobra.Command, in Process) {
	s.place.flags(cmd)
	cmd.Flags().BoolVar(&s.unknownSite, "unknown-site", false, "accept a site that neither the configuration here nor a relay has")
	cmd.Flags().StringVar(&s.order.Message, "message", "", "`text` that the visitors read")
	cmd.Flags().StringVar(&s.order.By, "by", whoami(in.Environ), "`name` of whoever gives the order")
}

// run stores the order and waits for the relays.
func (s *startOrder) run(ctx context.Context, in Process) (err error) {
	o := s.order
	if o.Site, err = s.site(); err != nil {
		return err
	}
	o = beginning(o, time.Now().UTC(), s.lasts)
	if err := o.Validate(); err != nil {
		return usageError{err}
	}
	return withOrders(ctx, in, s.wait, func(ctx context.Context, settings config.Settings, b *admin.Book) error {
		if o.Kind == visit.OrderOverride && s.lasts > settings.OverrideMax {
			return fmt.Errorf("nothing was ordered: no override may last longer than SINE_RELAY_OVERRIDE_MAX_DURATION, %s", formatDuration(settings.OverrideMax))
		}
		replaced := replacedBy(ctx, b, o)
		before, asked := b.Relays(ctx)
		if !s.unknownSite && !hasSite(settings, before, o.Site) {
			return fmt.Errorf("nothing was ordered: no integration has site %s, so that no relay would obey; sites are %s. If another relay has it, add --unknown-site", o.Site, strings.Join(knownSites(settings, before), ", "))
		}
		o.User, o.Account = identify(ctx, in, b)
		replaces := replaced() // before it is: afterwards, it is this order
		if o, err = b.Put(ctx, o); err != nil {
			return notOrdered(err)
		}
		fmt.Fprintf(in.Stdout, "%s is in force %s.\n%s", orderName(o.Kind, o.Site), untilWords(o), replaces)
		obeys := func(r visit.Relay) bool { return slices.ContainsFunc(r.Orders, isOrder(o.ID)) }
		return errors.Join(showRest(ctx, in, b, o.Kind, o.Site), confirm(ctx, in, b, confirmation{before, asked, o.Site, s.wait, obeys}))
	})
}

// liftOrder ends an order. What the bucket has lost, relays may still obey: where none
// answers, they are asked again for as long as they then have to obey.
func liftOrder(ctx context.Context, in Process, l visit.Lift, wait time.Duration) error {
	return withOrders(ctx, in, 2*wait, func(ctx context.Context, s config.Settings, b *admin.Book) error {
		l.User, l.Account = identify(ctx, in, b)
		deadline := time.Now().Add(wait)
		before, asked := b.Relays(ctx)
		revision, err := b.Lift(ctx, l, obeyedIDs(before, l.Kind, l.Site)...)
		for errors.Is(err, orders.ErrNotInForce) && len(before) == 0 && asked == nil && time.Now().Before(deadline) {
			pause.For(ctx, confirmInterval)
			before, asked = b.Relays(ctx)
			revision, err = b.Lift(ctx, l, obeyedIDs(before, l.Kind, l.Site)...)
		}
		switch {
		case errors.Is(err, orders.ErrNotInForce) && len(obeyedIDs(before, l.Kind, l.Site)) > 0:
			fmt.Fprintf(in.Stdout, "%s is lifted: the bucket had lost it, and relays obeyed it.\n", orderName(l.Kind, l.Site))
		case errors.Is(err, orders.ErrNotInForce):
			return errors.Join(notInForce(s, l, before, asked), showRest(ctx, in, b, l.Kind, l.Site))
		case err != nil:
			return notOrdered(err)
		default:
			fmt.Fprintf(in.Stdout, "%s is lifted.\n", orderName(l.Kind, l.Site))
		}
		obeys := func(r visit.Relay) bool {
			return r.OrdersRevision >= revision && !slices.ContainsFunc(r.Orders, isOf(l.Kind, l.Site))
		}
		return errors.Join(showRest(ctx, in, b, l.Kind, l.Site), confirm(ctx, in, b, confirmation{before, asked, l.Site, wait, obeys}))
	})
}

// notInForce says what is known of an order that the bucket does not have.
func notInForce(s config.Settings, l visit.Lift, relays []visit.Relay, asked error) error {
	none := fmt.Sprintf("nothing was lifted: there is no %s of %s in the bucket", l.Kind, siteWords(l.Site))
	switch {
	case asked != nil:
		return fmt.Errorf("%s, and whether a relay obeys one that the bucket has lost could not be asked: %w", none, asked)
	case len(relays) == 0:
		return fmt.Errorf("%s, and no relay answered: whether one obeys an order that the bucket has lost is not known", none)
	case !hasSite(s, relays, l.Site):
		return fmt.Errorf("%s, and no integration has it; sites are %s", none, strings.Join(knownSites(s, relays), ", "))
	default:
		return fmt.Errorf("%s, and of the relays that answered (%d) none obeys one", none, len(relays))
	}
}

// withOrders connects, does something within the time that NATS gets and wait, and
// disconnects.
func withOrders(ctx context.Context, in Process, wait time.Duration, do func(context.Context, config.Settings, *admin.Book) error) error {
	settings, err := operatorSettings(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, natsTimeout+wait)
	defer cancel()
	book, err := admin.OpenBook(ctx, server.AdminConfig(settings))
	if err != nil {
		return fmt.Errorf("nothing was ordered: %w", err)
	}
	defer book.Close()
	return do(ctx, settings, book)
}

// notOrdered says what is known of an order that failed: only one whose answer did
// not come may be stored.
func notOrdered(err error) error {
	if errors.Is(err, orders.ErrUnconfirmed) {
		return fmt.Errorf("whether it is stored is not known: see sine-relay orders, and try again: %w", err)
	}
	return fmt.Errorf("nothing was ordered: %w", err)
}

// identify is who NATS takes the operator for. An order without it is given all the
// same: a lockdown must not wait for a permission.
func identify(ctx context.Context, in Process, b *admin.Book) (user, account string) {
	user, account, err := b.User(ctx)
	if err != nil {
		fmt.Fprintln(in.Stderr, "sine-relay: the order is given without a NATS user:", terminal.PrintableError(err))
	}
	return user, account
}

func isOrder(id string) func(visit.RelayOrder) bool {
	return func(o visit.RelayOrder) bool { return o.ID == id }
}

func isOf(kind visit.OrderKind, site string) func(visit.RelayOrder) bool {
	return func(o visit.RelayOrder) bool { return o.Kind == kind && o.Site == site }
}

// obeyedIDs are the orders of a kind and a site that relays obey.
func obeyedIDs(relays []visit.Relay, kind visit.OrderKind, site string) (ids []string) {
	for _, r := range relays {
		for _, o := range r.Orders {
			if isOf(kind, site)(o) {
				ids = append(ids, o.ID)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// beginning sets when an order begins, and when it ends if it does.
func beginning(o visit.Order, since time.Time, lasts time.Duration) visit.Order {
	o.Since = since
	if lasts != 0 {
		o.Until = since.Add(lasts)
	}
	return o
}

// replacedBy looks meanwhile which order in force another one is about to replace, and
// returns what to print about it. An order waits a moment for that at most.
func replacedBy(ctx context.Context, b *admin.Book, o visit.Order) func() string {
	ctx, cancel := context.WithTimeout(ctx, replacedTimeout)
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
				quotedText("reason", old.Reason), quotedText("message", old.Message))
		case err != nil && !errors.Is(err, orders.ErrInvalid):
			found <- "Whether it replaces another one could not be read: " + terminal.PrintableError(err) + "\n"
		default:
			found <- ""
		}
	}()
	return func() string { return <-found }
}

// orderName begins a sentence about an order.
func orderName(kind visit.OrderKind, site string) string {
	name := string(kind)
	return fmt.Sprintf("%s%s of %s", strings.ToUpper(name[:1]), name[1:], siteWords(site))
}

func quotedText(name, text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf(", %s %s", name, strconv.Quote(text))
}

// showRest prints what else is in force for those whom an order concerns.
func showRest(ctx context.Context, in Process, b *admin.Book, kind visit.OrderKind, site string) error {
	all, err := b.List(ctx)
	if errors.Is(err, orders.ErrInvalid) { // none of which changes what was ordered
		fmt.Fprintln(in.Stderr, "sine-relay:", terminal.PrintableError(err))
		err = nil
	}
	for _, o := range all {
		same := o.Kind == kind && o.Site == site
		concerns := o.Site == site || o.Site == visit.AllSites || site == visit.AllSites
		if concerns && !same && o.InForce(time.Now()) {
			prevails := ""
			if o.Kind == visit.OrderLockdown && kind == visit.OrderOverride {
				prevails = "; it prevails"
			}
			fmt.Fprintf(in.Stdout, "Also in force: %s of %s, %s%s.\n", o.Kind, siteWords(o.Site), untilWords(o), prevails)
		}
	}
	return err
}

// hasSite takes every site for known where neither an integration is configured
// nor a relay says which sites there are.
func hasSite(s config.Settings, relays []visit.Relay, site string) bool {
	known := knownSites(s, relays)
	incomplete := slices.ContainsFunc(relays, func(r visit.Relay) bool { return r.SiteCount > len(r.Sites) })
	return site == visit.AllSites || len(known) == 0 || incomplete || slices.Contains(known, site)
}

// knownSites are those of the configuration here and of the relays, each once.
func knownSites(s config.Settings, relays []visit.Relay) []string {
	known := s.Sites()
	for _, r := range relays {
		for _, site := range r.Sites {
			if visit.ValidName(site) { // whatever calls itself a relay
				known = append(known, site)
			}
		}
	}
	slices.Sort(known)
	return slices.Compact(known)
}

// whoami is a help for the record, and no proof of anything.
func whoami(environ []string) string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	name, _ := config.Lookup(environ, "USER")
	return cmp.Or(name, "unknown")
}
