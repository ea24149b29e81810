package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const deskViewers = 50

// people look at a desk.
type people struct {
	url     string
	updates atomic.Int64
	pages   []time.Duration // how long the decisions of 30 days took
}

// playPeople is a process of its own: it prints a line when all pages are up to date, and
// when its input has ended one with the median time of the decisions of 30 days, in
// milliseconds.
func playPeople() error {
	p := &people{url: os.Getenv("BENCH_DESK")}
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	for deadline := time.Now().Add(patience); ; {
		err := p.month(ctx)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the desk has read all decisions: %w", err)
		}
		<-time.After(10 * time.Millisecond)
	}
	var looking sync.WaitGroup
	for i := range deskViewers {
		looking.Go(func() { p.look(ctx, fmt.Sprint("somebody-", i), []string{"/events?of=live", "/events?of=doors"}[i%2]) })
	}
	for p.updates.Load() < deskViewers {
		<-time.After(10 * time.Millisecond)
	}
	var failed error
	looking.Go(func() {
		for ctx.Err() == nil {
			begun := time.Now()
			if err := p.month(ctx); err != nil && ctx.Err() == nil {
				failed = err
			}
			p.pages = append(p.pages, time.Since(begun))
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	})
	fmt.Println("up to date")
	io.Copy(io.Discard, os.Stdin)
	leave()
	looking.Wait()
	if p.updates.Load() < 2*deskViewers || failed != nil {
		return fmt.Errorf("%d updates, %w", p.updates.Load(), failed)
	}
	slices.Sort(p.pages)
	fmt.Println(float64(p.pages[len(p.pages)/2].Microseconds()) / 1000)
	return nil
}

func (p *people) get(ctx context.Context, user, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-User", user)
	r.Header.Set("X-Groups", "all")
	return http.DefaultClient.Do(r)
}

// month asks for the decisions of 30 days. The error says that they are not all there.
func (p *people) month(ctx context.Context) error {
	now := time.Now().UTC()
	r, err := p.get(ctx, "somebody", "/decisions?from="+now.AddDate(0, 0, -30).Format(time.DateOnly)+"&to="+now.Format(time.DateOnly))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err == nil && (r.StatusCode != http.StatusOK || strings.Contains(string(page), "not on this page")) {
		err = fmt.Errorf("the decisions: %d, and not all of them", r.StatusCode)
	}
	return err
}

// look keeps a page open, and counts what is sent to it.
func (p *people) look(ctx context.Context, user, path string) {
	r, err := p.get(ctx, user, path)
	if err != nil {
		return
	}
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data:") {
			p.updates.Add(1)
		}
	}
}
