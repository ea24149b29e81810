package main

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
	"github.com/sine-relay/sine-relay/visit"
)

// Standing orders: a lockdown turns every visitor of a site away, an override
// lets them in without a decider. Every relay obeys within a second.

// give reads an order from the command line and stores it.
func give(kind visit.OrderKind) func(context.Context, invocation) int {
	return func(ctx context.Context, in invocation) int {
		f := orderFlags(string(kind), in)
		o := visit.Order{Kind: kind, Since: time.Now().UTC()}
		f.StringVar(&o.Message, "message", "", "what the visitors read")
		f.StringVar(&o.Reason, "reason", "", "why, for the record; an override needs one")
		f.StringVar(&o.By, "by", whoami(), "who gives the order")
		lasts := f.Duration("for", 0, "how long it lasts, as in 30m; an override needs it, a lockdown lasts until it is lifted")
		accept := f.Bool("accept", kind == visit.OrderLockdown, "let everybody in: an override can do nothing else, and this says that you know")
		anySite := f.Bool("unknown-site", false, "also a site that the configuration here does not have")
		if f.Parse(in.args) != nil {
			return exitUsage
		}
		var err error
		if o.Site, err = f.site(); err != nil {
			return f.complain(err)
		}
		if !*accept {
			return f.complain(errors.New("say --accept: everybody is let in without being checked"))
		}
		o = beginning(o, o.Since, *lasts)
		if err := o.Check(); err != nil {
			return f.complain(err)
		}
		return withBook(ctx, in, func(ctx context.Context, s config.Settings, b *broker.Book) error {
			if !*anySite && !hasSite(s, o.Site) {
				return fmt.Errorf("no integration is at site %s, and nobody would obey; sites are %s. If another relay has it, say --unknown-site", o.Site, strings.Join(s.Sites(), ", "))
			}
			now, err := b.Now(ctx)
			if err != nil {
				return err
			}
			o = beginning(o, now.UTC(), *lasts)
			if err := b.Put(ctx, o); err != nil {
				return err
			}
			fmt.Fprintf(in.out, "%s of %s is in force %s.\n", o.Kind, siteWords(o.Site), untilWords(o))
			return showRest(ctx, in, b, o.Kind, o.Site)
		})
	}
}

// lift ends an order.
func lift(kind visit.OrderKind) func(context.Context, invocation) int {
	return func(ctx context.Context, in invocation) int {
		f := orderFlags(string(kind)+" lift", in)
		if f.Parse(in.args) != nil {
			return exitUsage
		}
		site, err := f.site()
		if err != nil {
			return f.complain(err)
		}
		return withBook(ctx, in, func(ctx context.Context, _ config.Settings, b *broker.Book) error {
			err := b.Lift(ctx, kind, site)
			switch {
			case errors.Is(err, orders.ErrNotInForce):
				fmt.Fprintf(in.out, "There was no %s of %s.\n", kind, siteWords(site))
			case err != nil:
				return err
			default:
				fmt.Fprintf(in.out, "%s of %s is lifted.\n", kind, siteWords(site))
			}
			return showRest(ctx, in, b, kind, site)
		})
	}
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
func showRest(ctx context.Context, in invocation, b *broker.Book, kind visit.OrderKind, site string) error {
	all, err := b.List(ctx)
	for _, o := range all {
		same := o.Kind == kind && o.Site == site
		concerns := o.Site == site || o.Site == visit.AllSites || site == visit.AllSites
		if concerns && !same && o.InForce(time.Now()) {
			fmt.Fprintf(in.out, "Also in force: %s of %s, %s.\n", o.Kind, siteWords(o.Site), untilWords(o))
		}
	}
	return err
}

// listOrders shows what was ordered, of both kinds.
func listOrders(ctx context.Context, in invocation) int {
	if !noArguments("orders", in) {
		return exitUsage
	}
	return withBook(ctx, in, func(ctx context.Context, _ config.Settings, b *broker.Book) error {
		all, err := b.List(ctx)
		table := newTable(in.out, "ORDER", "SITE", "IN FORCE", "SINCE", "BY", "REASON", "MESSAGE")
		for _, o := range all {
			state := "has ended"
			if o.InForce(time.Now()) {
				state = untilWords(o)
			}
			table.row(o.Kind, o.Site, state, shown(o.Since), o.By, o.Reason, o.Message)
		}
		table.flush()
		return err
	})
}

func withBook(ctx context.Context, in invocation, do func(context.Context, config.Settings, *broker.Book) error) int {
	settings, code := operatorSettings(in)
	if code != exitOK {
		return code
	}
	ctx, cancel := context.WithTimeout(ctx, natsPatience)
	defer cancel()
	book, err := broker.OpenBook(ctx, brokerConfig(settings, nil, nil, nil))
	if err != nil {
		return orderly(in, err)
	}
	defer book.Close()
	return orderly(in, do(ctx, settings, book))
}

// hasSite takes every site for known where no integration is configured.
func hasSite(s config.Settings, site string) bool {
	return site == visit.AllSites || len(s.Sites()) == 0 || slices.Contains(s.Sites(), site)
}

// orderSet are the flags that every command about orders has.
type orderSet struct {
	*flag.FlagSet
	one string
	all bool
}

func orderFlags(name string, in invocation) *orderSet {
	f := &orderSet{FlagSet: flag.NewFlagSet("sine-relay "+name, flag.ContinueOnError)}
	f.SetOutput(in.err)
	f.StringVar(&f.one, "site", "", "the site")
	f.BoolVar(&f.all, "all-sites", false, "every site")
	return f
}

// site is the one that is meant, of which there must be exactly one.
func (f *orderSet) site() (string, error) {
	switch {
	case f.NArg() > 0:
		return "", fmt.Errorf("%q is no flag", f.Arg(0))
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
	return "site " + printable(site)
}

func untilWords(o visit.Order) string {
	if o.Until.IsZero() {
		return "until it is lifted"
	}
	return "until " + shown(o.Until)
}

// whoami is a help for the record, and no proof of anything.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return cmp.Or(os.Getenv("USER"), "unknown")
}
