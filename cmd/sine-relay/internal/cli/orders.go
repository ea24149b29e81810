package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/visit"
)

// Standing orders: a lockdown turns every visitor of a site away, an override
// lets them in without a decider. Every relay obeys within a second.

// orderWait is how long the commands wait for relays to obey.
const orderWait = 5 * time.Second

// give reads an order from the command line, stores it and waits for the relays.
func give(kind visit.OrderKind) func(context.Context, Process) int {
	return func(ctx context.Context, in Process) int {
		f := orderFlags(string(kind), in)
		o := visit.Order{Kind: kind, Since: time.Now().UTC()}
		f.StringVar(&o.Message, "message", "", "what the visitors read")
		f.StringVar(&o.Reason, "reason", "", "why, for the record; an override needs one")
		f.StringVar(&o.By, "by", whoami(), "who gives the order")
		lasts := f.Duration("for", 0, "how long it lasts, as in 30m; an override needs it, a lockdown lasts until it is lifted")
		accept := true
		if kind == visit.OrderOverride {
			f.BoolVar(&accept, "accept", false, "let everybody in: an override can do nothing else, and this says that you know")
		}
		anySite := f.Bool("unknown-site", false, "also a site that neither the configuration here nor a relay has")
		if f.Parse(in.Args) != nil {
			return exitUsage
		}
		var err error
		if o.Site, err = f.site(); err != nil {
			return f.complain(err)
		}
		if !accept {
			return f.complain(errors.New("say --accept: everybody is let in without being checked"))
		}
		o = beginning(o, o.Since, *lasts)
		if err := o.Check(); err != nil {
			return f.complain(err)
		}
		return withBook(ctx, in, f.wait, func(ctx context.Context, s config.Settings, b *broker.Book) error {
			if kind == visit.OrderOverride && *lasts > s.OverrideMax {
				return fmt.Errorf("nothing was ordered: no override may last longer than SINE_RELAY_OVERRIDE_MAX_DURATION, %s", s.OverrideMax)
			}
			replaced := replacedBy(ctx, b, o)
			before, asked := b.Relays(ctx)
			if !*anySite && !hasSite(s, before, o.Site) {
				return fmt.Errorf("nothing was ordered: no integration is at site %s, and nobody would obey; sites are %s. If another relay has it, say --unknown-site", o.Site, strings.Join(knownSites(s, before), ", "))
			}
			o.User, o.Account = identify(ctx, in, b)
			replaces := replaced() // before it is: afterwards, it is this order
			if o, err = b.Put(ctx, o); err != nil {
				return notOrdered(err)
			}
			fmt.Fprintf(in.Stdout, "%s of %s is in force %s.\n", o.Kind, siteWords(o.Site), untilWords(o))
			fmt.Fprint(in.Stdout, replaces)
			obeys := func(r broker.Relay) bool { return slices.ContainsFunc(r.Orders, isOrder(o.ID)) }
			return errors.Join(showRest(ctx, in, b, o.Kind, o.Site), confirm(ctx, in, b, confirmation{before, asked, o.Site, f.wait, obeys}))
		})
	}
}

// lift ends an order.
func lift(kind visit.OrderKind) func(context.Context, Process) int {
	return func(ctx context.Context, in Process) int {
		f := orderFlags(string(kind)+" lift", in)
		l := visit.Lift{Kind: kind}
		f.StringVar(&l.Reason, "reason", "", "why, for the record")
		f.StringVar(&l.By, "by", whoami(), "who lifts the order")
		if f.Parse(in.Args) != nil {
			return exitUsage
		}
		var err error
		if l.Site, err = f.site(); err != nil {
			return f.complain(err)
		}
		return withBook(ctx, in, f.wait, func(ctx context.Context, s config.Settings, b *broker.Book) error {
			before, asked := b.Relays(ctx)
			held := heldIDs(before, kind, l.Site)
			l.User, l.Account = identify(ctx, in, b)
			revision, err := b.Lift(ctx, l, held...)
			switch {
			case errors.Is(err, orders.ErrNotInForce) && len(held) > 0:
				fmt.Fprintf(in.Stdout, "%s of %s is lifted: the bucket had lost it, and relays obeyed it.\n", kind, siteWords(l.Site))
			case errors.Is(err, orders.ErrNotInForce):
				fault := fmt.Errorf("nothing was lifted: there is no %s of %s", kind, siteWords(l.Site))
				if !hasSite(s, before, l.Site) {
					fault = fmt.Errorf("%w, and no integration is there; sites are %s", fault, strings.Join(knownSites(s, before), ", "))
				}
				return errors.Join(fault, showRest(ctx, in, b, kind, l.Site))
			case err != nil:
				return notOrdered(err)
			default:
				fmt.Fprintf(in.Stdout, "%s of %s is lifted.\n", kind, siteWords(l.Site))
			}
			obeys := func(r broker.Relay) bool {
				return r.Revision >= revision && !slices.ContainsFunc(r.Orders, isOf(kind, l.Site))
			}
			return errors.Join(showRest(ctx, in, b, kind, l.Site), confirm(ctx, in, b, confirmation{before, asked, l.Site, f.wait, obeys}))
		})
	}
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
func identify(ctx context.Context, in Process, b *broker.Book) (user, account string) {
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

// heldIDs are the orders of a kind and a site that relays obey.
func heldIDs(relays []broker.Relay, kind visit.OrderKind, site string) (ids []string) {
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

// showRest says what else is in force for those whom an order concerns.
func showRest(ctx context.Context, in Process, b *broker.Book, kind visit.OrderKind, site string) error {
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

// listOrders shows what was ordered, of both kinds, and which relays obey it. What
// relays obey is shown whatever the bucket has.
func listOrders(ctx context.Context, in Process) int {
	if !noArguments("orders", in) {
		return exitUsage
	}
	settings, code := operatorSettings(in)
	if code != exitOK {
		return code
	}
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	cfg := server.BrokerConfig(settings, nil, nil, nil)
	book, err := broker.FindBook(ctx, cfg)
	if errors.Is(err, orders.ErrNoBucket) {
		relays, asked := broker.FindRelays(ctx, cfg)
		showOrders(in, nil, relays)
		return orderly(in, errors.Join(err, asked))
	}
	if err != nil {
		return orderly(in, err)
	}
	defer book.Close()
	relays, asked := book.Relays(ctx) // first: what is lifted meanwhile is still in the bucket
	all, err := book.List(ctx)
	showOrders(in, all, relays)
	return orderly(in, errors.Join(err, asked))
}

func showOrders(in Process, all []visit.Order, relays []broker.Relay) {
	table := newTable(in.Stdout, "ORDER", "SITE", "IN FORCE", "SINCE", "BY", "NATS USER", "REASON", "MESSAGE", "OBEYED BY", "ID")
	for _, o := range all {
		state, obeyed := "has ended", ""
		if o.InForce(time.Now()) {
			state, obeyed = untilWords(o), obeyedBy(relays, o)
		}
		table.row(o.Kind, o.Site, state, formatTime(o.Since), o.By, userWords(o), o.Reason, o.Message, obeyed, o.Identity())
	}
	unlisted := unlistedOrders(relays, all)
	for _, o := range unlisted[:min(len(unlisted), maxUnlisted)] {
		table.row(o.Kind, o.Site, "not in the bucket", "", "", "", "", "", obeyedBy(relays, visit.Order{Site: o.Site, ID: o.ID}), o.ID)
	}
	table.flush()
	if more := len(unlisted) - maxUnlisted; more > 0 {
		fmt.Fprintf(in.Stdout, "%d more orders are obeyed and not in the bucket.\n", more)
	}
	fmt.Fprintln(in.Stdout)
	if len(unlisted) > 0 {
		fmt.Fprintln(in.Stdout, "Relays obey orders that the bucket does not have: it was purged, deleted or restored. A relay that starts anew does not know them. Give such an order again, or lift it.")
		fmt.Fprintln(in.Stdout)
	}
	showRelays(in, relays)
}

// maxUnlisted bounds what relays say that the bucket does not have: whoever answers
// as a relay may say anything.
const maxUnlisted = 20

// unlistedOrders are those that relays obey and that are not among all, each once.
func unlistedOrders(relays []broker.Relay, all []visit.Order) (unlisted []visit.RelayOrder) {
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

// obeyedBy says how many of the relays that have an order's site obey it.
func obeyedBy(relays []broker.Relay, o visit.Order) string {
	obey, concerned := 0, 0
	for _, r := range relays {
		if !concerns(r, o.Site) {
			continue
		}
		concerned++
		if slices.ContainsFunc(r.Orders, isOrder(o.Identity())) {
			obey++
		}
	}
	return fmt.Sprintf("%d of %d relays", obey, concerned)
}

func userWords(o visit.Order) string {
	if o.User == "" {
		return "unknown"
	}
	return o.User + " of " + o.Account
}

// withBook connects, does something within the time that NATS gets and wait, and
// disconnects.
func withBook(ctx context.Context, in Process, wait time.Duration, do func(context.Context, config.Settings, *broker.Book) error) int {
	settings, code := operatorSettings(in)
	if code != exitOK {
		return code
	}
	ctx, cancel := context.WithTimeout(ctx, natsTimeout+wait)
	defer cancel()
	book, err := broker.OpenBook(ctx, server.BrokerConfig(settings, nil, nil, nil))
	if err != nil {
		return orderly(in, fmt.Errorf("nothing was ordered: %w", err))
	}
	defer book.Close()
	return orderly(in, do(ctx, settings, book))
}

// hasSite takes every site for known where neither an integration is configured
// nor a relay says which sites there are.
func hasSite(s config.Settings, relays []broker.Relay, site string) bool {
	known := knownSites(s, relays)
	incomplete := slices.ContainsFunc(relays, func(r broker.Relay) bool { return r.SiteCount > len(r.Sites) })
	return site == visit.AllSites || len(known) == 0 || incomplete || slices.Contains(known, site)
}

// knownSites are those of the configuration here and of the relays, each once.
func knownSites(s config.Settings, relays []broker.Relay) []string {
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

// orderSet are the flags that every command about orders has.
type orderSet struct {
	*flag.FlagSet
	one  string
	all  bool
	wait time.Duration
}

func orderFlags(name string, in Process) *orderSet {
	f := &orderSet{FlagSet: flag.NewFlagSet("sine-relay "+name, flag.ContinueOnError)}
	f.SetOutput(in.Stderr)
	f.StringVar(&f.one, "site", "", "the site")
	f.BoolVar(&f.all, "all-sites", false, "every site")
	f.DurationVar(&f.wait, "wait", orderWait, "how long to wait for relays to confirm")
	return f
}

// site is the one that is meant, of which there must be exactly one.
func (f *orderSet) site() (string, error) {
	switch {
	case f.NArg() > 0:
		return "", fmt.Errorf("%q is not a flag", f.Arg(0))
	case f.wait < 0 || f.wait > time.Minute:
		return "", errors.New("--wait is between 0s and 1m")
	case f.all == (f.one != ""):
		return "", errors.New("say either --site or --all-sites")
	case f.all:
		return visit.AllSites, nil
	default:
		return f.one, nil
	}
}

func (f *orderSet) complain(err error) int {
	fmt.Fprintf(f.Output(), "%s: %v\n", f.Name(), err)
	return exitUsage
}

func siteWords(site string) string {
	if site == visit.AllSites {
		return "all sites"
	}
	return "site " + terminal.Printable(site)
}

func untilWords(o visit.Order) string {
	if o.Until.IsZero() {
		return "until it is lifted"
	}
	return "until " + formatTime(o.Until)
}

// whoami is a help for the record, and no proof of anything.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return cmp.Or(os.Getenv("USER"), "unknown")
}
