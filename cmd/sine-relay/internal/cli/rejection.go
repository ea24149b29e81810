package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// guideSteps are what somebody does before the visitor is rejected. A lockdown would do,
// and would reject everybody else as well.
const guideSteps = `This settles whether Sine obeys a rejection by %[1]s. It takes one visitor, at an iPad, and a
few minutes. Nobody else is rejected, and nothing is changed without --write.

1. In Sine, the integration that calls %[2]s has the events Check-in Request and
   Check-in Success, both switched on.

2. Have one test visitor rejected, and nobody else:
   - in sine-relay dev, give the company as Denied: the example decider rejects it;
   - in a lobby that is open, have your decider reject the last name of step 3; or give the
     visitor type "Test" an integration of its own in Sine, whose site in the relay has no
     decider: its fallback rejects whoever comes.
   Not by a lockdown: it rejects everybody at the site.

3. At the iPad, check in as a visitor with the last name

       %[3]s

   and note what the iPad shows. Do not let anybody approve the visit.

`

// guide leads through the test visit of a rejection, and says what it has shown.
func (l *learning) guide(ctx context.Context, in Process) error {
	settings, of, err := l.settings(in)
	if err != nil {
		return err
	}
	if of.RejectMode == relay.RejectByStatus {
		fmt.Fprintf(in.Stdout, "Integration %s rejects by status: a check-in is stopped by that in any case, and nothing needs to be shown.\n"+
			"To try the documented way, by which the visitor reads the relay's text, set rejectMode: code first.\n", l.integration)
		return nil
	}
	history, err := admin.OpenHistory(server.AdminConfig(settings))
	if err != nil {
		return err
	}
	defer history.Close()
	g := &guide{
		in: in, history: history, of: of, lines: linesOf(in.Stdin), started: time.Now(),
		name: "Test" + strings.ToLower(visit.Reference(visit.NewRequestID())),
	}
	fmt.Fprintf(in.Stdout, guideSteps, of.RejectMode, relay.Path(l.integration, ""), g.name)
	shown, err := g.walk(ctx, l.wait)
	if err != nil {
		return err
	}
	return l.conclude(in, settings, shown)
}

// guide is a test visit while it is made.
type guide struct {
	in      Process
	history *admin.History
	of      relay.Integration
	lines   <-chan string
	started time.Time
	// name is the last name of the visitor, which nobody else has.
	name string
}

// shownByVisit is what a test visit has shown.
type shownByVisit struct {
	obeyed, textShown bool
	why               string
}

// walk asks for each step, and looks at what the relay has recorded.
func (g *guide) walk(ctx context.Context, wait time.Duration) (shownByVisit, error) {
	if _, err := g.ask(ctx, "4. Press Enter when the iPad has answered. "); err != nil {
		return shownByVisit{}, err
	}
	rejected, err := g.rejection(ctx, min(wait, recordsWait))
	if err != nil {
		return shownByVisit{}, err
	}
	fmt.Fprintf(g.in.Stdout, "\n   The relay rejected a visitor at %s, reference %s: %s.\n\n", formatLocal(rejected.Received), terminal.Printable(rejected.Reference), terminal.Printable(rejected.Rule))
	saw, err := g.choose(ctx, "5. What did the iPad show?\n   1  the check-in is refused, with the relay's text, or yours around it\n"+
		"   2  the check-in is refused, with another text or none\n   3  the check-in goes on, or is done\n   Enter 1, 2 or 3: ", 3)
	if err != nil {
		return shownByVisit{}, err
	}
	fmt.Fprintf(g.in.Stdout, "\n6. Waiting up to %s for a pass that is made all the same …\n", formatDuration(wait))
	made, err := g.passMade(ctx, rejected, wait)
	switch {
	case err != nil:
		return shownByVisit{}, err
	case made:
		return shownByVisit{why: "a pass was made for the visitor after the rejection"}, nil
	case saw == 3:
		return shownByVisit{why: "the iPad went on after the rejection"}, nil
	default:
		return shownByVisit{obeyed: true, textShown: saw == 1, why: "the iPad refused the check-in, and no pass was made"}, nil
	}
}

// recordsWait is how long a record may take from the response into its stream.
const recordsWait = 10 * time.Second

// rejection is the record of the check-in request. Where several came meanwhile, somebody
// says which. After the first one it looks once more: records overtake each other.
func (g *guide) rejection(ctx context.Context, wait time.Duration) (visit.Record, error) {
	var all []visit.Record
	err := g.until(ctx, wait, func(ctx context.Context) (bool, error) {
		before := len(all)
		var err error
		all, err = g.records(ctx)
		return before > 0 && len(all) == before, err
	})
	if err != nil {
		return visit.Record{}, err
	}
	choice := 1
	if len(all) > 1 {
		fmt.Fprintln(g.in.Stdout, "\n   Several visitors asked to check in:")
		for i, r := range all {
			fmt.Fprintf(g.in.Stdout, "   %d  %s  %s  reference %s\n", i+1, formatLocal(r.Received), verdictWords(r), terminal.Printable(r.Reference))
		}
		if choice, err = g.choose(ctx, "   Which is the test visitor? ", len(all)); err != nil {
			return visit.Record{}, err
		}
	}
	switch {
	case len(all) == 0:
		return visit.Record{}, fmt.Errorf("no check-in request came to integration %s since the beginning: see whether Sine calls it, and begin again", g.of.Name)
	case all[choice-1].Verdict != visit.Reject:
		return visit.Record{}, fmt.Errorf("the relay accepted the visitor (%s): have the visitor rejected, and begin again", all[choice-1].Rule)
	default:
		return all[choice-1], nil
	}
}

func verdictWords(r visit.Record) string {
	if r.Verdict == visit.Reject {
		return visit.ResultRejected
	}
	return visit.ResultAccepted
}

func (g *guide) records(ctx context.Context) (all []visit.Record, err error) {
	filter := admin.HistoryFilter{Site: g.of.Site, Kinds: []visit.Kind{visit.KindCheckInRequest}, Since: g.started}
	err = g.history.Each(ctx, filter, func(e admin.HistoryEntry) error {
		if r := e.Record; r != nil && r.Integration == g.of.Name && !r.Synthetic {
			all = append(all, *r)
		}
		return nil
	})
	return all, err
}

// passMade looks for the event that the rejected visitor was checked in.
func (g *guide) passMade(ctx context.Context, rejected visit.Record, wait time.Duration) (made bool, err error) {
	filter := admin.HistoryFilter{Site: g.of.Site, Kinds: []visit.Kind{visit.KindCheckedIn}, Since: g.started}
	err = g.until(ctx, wait, func(ctx context.Context) (bool, error) {
		err := g.history.Each(ctx, filter, func(e admin.HistoryEntry) error {
			made = made || e.Event != nil && e.Event.Integration == g.of.Name && g.isOf(*e.Event, rejected)
			return nil
		})
		return made, err
	})
	return made, err
}

// isOf reports whether an event is about the visitor: by the name that nobody else has,
// or by the visit's key.
func (g *guide) isOf(e visit.Event, rejected visit.Record) bool {
	named := strings.Contains(strings.ToLower(e.Person.LastName+" "+e.Person.FirstName), strings.ToLower(g.name))
	return named || rejected.Visit.Value != "" && e.Visit == rejected.Visit
}

// guideInterval is between two looks at what was recorded.
const guideInterval = 500 * time.Millisecond

// until looks until something is there, or for that long.
func (g *guide) until(ctx context.Context, wait time.Duration, look func(context.Context) (bool, error)) error {
	deadline := time.Now().Add(wait)
	for {
		there, err := look(ctx)
		if there || err != nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(guideInterval):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// linesOf reads lines as they come, on a goroutine that ends with the input or with the
// program.
func linesOf(in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- strings.TrimSpace(s.Text())
		}
	}()
	return lines
}

var errNoAnswer = errors.New("no answer: the standard input has ended, and nothing is concluded")

func (g *guide) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(g.in.Stdout, question)
	select {
	case line, ok := <-g.lines:
		if !ok {
			return "", errNoAnswer
		}
		return line, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// choose asks until one of the numbers is entered.
func (g *guide) choose(ctx context.Context, question string, most int) (int, error) {
	for {
		answer, err := g.ask(ctx, question)
		if err != nil {
			return 0, err
		}
		if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= most {
			return n, nil
		}
		fmt.Fprintf(g.in.Stdout, "   Enter a number from 1 to %d.\n", most)
	}
}

// conclude proposes what follows from the visit, or writes it.
func (l *learning) conclude(in Process, settings config.Settings, shown shownByVisit) error {
	a := config.Amendment{Integration: l.target(settings)}
	if shown.obeyed {
		fmt.Fprintf(in.Stdout, "\nSine obeys the rejection: %s.\n", shown.why)
		a.Settings = []config.AmendedSetting{{Path: []string{"rejectionConfirmed"}, Value: true, Comment: "by a test visit"}}
		if !shown.textShown {
			fmt.Fprintln(in.Stdout, "The visitor does not read the relay's text: look at the rejection message of the integration in Sine, or adapt the template responses.reject.")
		}
	} else {
		fmt.Fprintf(in.Stdout, "\nSine does NOT obey the rejection: %s.\nUntil the template responses.reject is one that it obeys, reject by status, which stops any check-in:\n", shown.why)
		a.Settings = []config.AmendedSetting{{Path: []string{"rejectMode"}, Value: string(relay.RejectByStatus), Comment: "a test visit has shown that a rejection by code is not obeyed"}}
	}
	proposal, err := config.Amend(nil, a)
	if err != nil {
		return err
	}
	fmt.Fprintf(in.Stdout, "\n%s\n", proposal)
	if !l.write {
		fmt.Fprintln(in.Stdout, "Nothing was changed; --write writes it into the integrations file.")
		return nil
	}
	file, err := l.amend(in, settings, a)
	if err != nil {
		return err
	}
	fmt.Fprintf(in.Stdout, "Written into %s. A relay that reads this file obeys it within seconds.\n", terminal.Printable(file))
	return nil
}
