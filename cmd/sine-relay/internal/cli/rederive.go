package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

func newRederive(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "rederive", Short: "Read stored events again, as after a change of the configuration, and correct them.",
		Long: "It reads what Sine sent with the integrations that are configured here, and prints which fields would be\n" +
			"others. Without --submit nothing is changed. With it, a correction is stored beside each such event: an\n" +
			"event with an id of its own that names the one that it corrects. Nothing is stored twice.",
		Example: "  sine-relay rederive --since 7d --integration lobby\n  sine-relay rederive --since 7d --integration lobby --submit",
	}
	r := rederivation{currents: map[string]current{}, result: newRederived()}
	cmd.Flags().Var(momentFlag{&r.since}, "since", "events that the relay received since then: as in 7d, or 2026-11-18T08:00:00Z; required")
	cmd.Flags().Var(momentFlag{&r.until}, "until", "and before then, written alike; until now unless set")
	cmd.Flags().StringVar(&r.site, "site", "", "only events of this `site`; every site unless set")
	cmd.Flags().StringVar(&r.integration, "integration", "", "only events of the integration of this `name`")
	cmd.Flags().BoolVar(&r.submit, "submit", false, "store the corrections")
	cmd.Flags().BoolVar(&r.values, "values", false, "print what the fields say, before and after, which is personal data")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := r.check(); err != nil {
			return err
		}
		return r.run(cmd.Context(), in, *format)
	}
	return cmd
}

// momentFlag is a time, or how long ago it was.
type momentFlag struct{ to *time.Time }

func (m momentFlag) Type() string { return "time" }

func (m momentFlag) String() string { return "" } // no default is shown

func (m momentFlag) Set(text string) (err error) {
	if ago, wrong := config.ParseDuration(text); wrong == nil {
		*m.to = time.Now().Add(-ago)
		return nil
	}
	if *m.to, err = time.Parse(time.RFC3339, text); err != nil {
		err = fmt.Errorf("must be a time as of RFC 3339, or how long ago it was, such as 12h or 7d, got %q", text)
	}
	return err
}

// rederivation is one run over the stored events.
type rederivation struct {
	since, until      time.Time
	site, integration string
	submit, values    bool

	reader *relay.Reader
	events *admin.Events
	// currents are the events that are to be corrected, or were before, by the id of
	// the original.
	currents map[string]current
	result   rederived
}

// current is the message that says what is true of an event so far: the event, or its
// latest correction.
type current struct {
	id       string
	revision int
	sequence uint64
	differs  bool // from what would be stored today
}

func (r *rederivation) check() error {
	switch {
	case r.since.IsZero():
		return usagef("--since is missing: how far to look back, as in 7d")
	case !r.until.IsZero() && !r.since.Before(r.until):
		return usagef("--until must be after --since")
	case r.site != "" && !visit.ValidName(r.site):
		return usagef("%q is not the name of a site: it must match %s", r.site, visit.NamePattern)
	}
	return nil
}

func (r *rederivation) run(ctx context.Context, in Process, format string) error {
	settings, err := integrationSettings(in)
	if err != nil {
		return err
	}
	if err := r.configured(settings); err != nil {
		return err
	}
	if r.reader, err = relay.NewReader(settings.Integrations, server.Limits(settings)); err != nil {
		return err
	}
	if r.events, err = admin.OpenEvents(server.AdminConfig(settings)); err != nil {
		return err
	}
	defer r.events.Close()
	p := newProgress(in.Stderr)
	if err = r.find(ctx, p); err == nil {
		err = r.correct(ctx, p)
	}
	p.clear()
	if err == nil && r.result.Read == 0 {
		err = r.siteKnown(settings)
	}
	if err != nil && r.result.Read == 0 { // an empty result would look like good news
		return err
	}
	r.result.Submitted = r.submit
	return errors.Join(r.result.print(in.Stdout, format), err)
}

// configured says where the integration that is meant does not exist.
func (r *rederivation) configured(settings config.Settings) error {
	var names []string
	for _, in := range settings.Integrations {
		names = append(names, in.Name)
	}
	if r.integration == "" || slices.Contains(names, r.integration) {
		return nil
	}
	return usagef("the integration %q is not configured here%s", r.integration, config.DidYouMean(r.integration, names))
}

// siteKnown says where no event was found because the site is misspelled. A site that no
// integration has any more may have events all the same.
func (r *rederivation) siteKnown(settings config.Settings) error {
	var sites []string
	for _, in := range settings.Integrations {
		sites = append(sites, in.Site)
	}
	if r.site == "" || slices.Contains(sites, r.site) {
		return nil
	}
	return usagef("no event of site %q was found, and no integration that is configured here has that site%s", r.site, config.DidYouMean(r.site, sites))
}

func (r *rederivation) selects(e *visit.Event) bool {
	return !e.Received.Before(r.since) && (r.until.IsZero() || e.Received.Before(r.until)) &&
		(r.integration == "" || e.Integration == r.integration)
}

// find reads all events that are meant, and keeps which of them differ. Each is read here,
// though those that differ are read again to be corrected: their bodies would not fit into
// memory, and a correction may come behind any of them.
func (r *rederivation) find(ctx context.Context, p *progress) error {
	return r.events.Each(ctx, r.site, r.since, func(stored admin.StoredEvent) error {
		if stored.Fault != nil {
			r.result.unread(reasonNotAnEvent)
			return ctx.Err()
		}
		if r.selects(stored.Event) {
			r.consider(stored)
		}
		if r.result.Read%100 == 0 {
			p.show("%s read", plural(r.result.Read, "event"))
		}
		return ctx.Err()
	})
}

func (r *rederivation) consider(stored admin.StoredEvent) {
	e := stored.Event
	r.result.Read++
	if e.IsCorrection() {
		r.result.Corrections++
	}
	read, err := r.reader.Rederive(e)
	if err != nil {
		r.result.unread(reasonUnread(err))
	}
	r.result.inZone(read)
	if read.OtherKind != "" && !e.IsCorrection() {
		r.result.OtherKinds = append(r.result.OtherKinds, otherKind{
			Event: e.ID, Kind: e.Kind, Named: read.OtherKind, Site: e.Site, Integration: e.Integration,
			Received: e.Received.UTC(), RequestID: e.RequestID,
		})
	}
	known, found := r.currents[e.OriginalID()]
	if found && !e.Supersedes(&visit.Event{ID: known.id, Corrects: e.OriginalID(), Revision: known.revision}) {
		return // also an event that was stored twice, with one id
	}
	if e.IsCorrection() || read.Correction != nil {
		r.currents[e.OriginalID()] = current{e.ID, e.Revision, stored.Sequence, read.Correction != nil}
	}
}

// correct goes through those that differ, in the order in which they are stored. It ends
// with the first error that concerns others, too.
func (r *rederivation) correct(ctx context.Context, p *progress) error {
	var differing []current
	for _, c := range r.currents {
		if c.differs {
			differing = append(differing, c)
		}
	}
	slices.SortFunc(differing, func(a, b current) int { return cmp.Compare(a.sequence, b.sequence) })
	for n, c := range differing {
		err := ctx.Err()
		if err == nil {
			err = r.one(ctx, c)
		}
		if err != nil {
			return fmt.Errorf("%s left for the next run, which stores nothing twice: %w", plural(len(differing)-n, "event"), err)
		}
		if r.submit || n%100 == 0 {
			p.show("%d of %s", n+1, plural(len(differing), "correction"))
		}
	}
	if r.result.Failed > 0 {
		return errors.New("not all corrections could be stored")
	}
	return nil
}

func (r *rederivation) one(ctx context.Context, c current) error {
	// What is begun is ended, though the command is interrupted: its result counts.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), natsTimeout)
	defer cancel()
	stored, err := r.events.Get(ctx, c.sequence)
	switch {
	// Where the stream was made anew, another message has the number.
	case errors.Is(err, admin.ErrDeleted), err == nil && (stored.Fault != nil || stored.Event.ID != c.id):
		r.result.unread(reasonDeleted)
		return nil
	case err != nil:
		return err
	}
	read, err := r.reader.Rederive(stored.Event)
	if err != nil {
		return err
	}
	row, err := rowOfCorrection(stored.Event, read.Correction, r.values)
	if err != nil {
		return err
	}
	if r.submit {
		err = r.store(ctx, &row, read.Correction)
	}
	r.result.add(row)
	return err
}

// store returns an error unless that concerns this correction alone.
func (r *rederivation) store(ctx context.Context, row *correctionRow, correction *visit.Event) error {
	receipt, err := r.events.Submit(ctx, correction)
	switch {
	case err != nil:
		row.Result, row.Error = correctionFailed, err.Error()
	case receipt.Duplicate:
		row.Result = correctionDuplicate
	default:
		row.Result = correctionStored
	}
	if errors.Is(err, visit.ErrTooLarge) {
		return nil
	}
	return err
}
