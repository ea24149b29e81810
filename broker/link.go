package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// link is one connection, its inbox, and those who wait for answers in it.
//
// The inbox is our own because nats.go's request waits out its time when the
// connection drops, and lets a late reply vanish without a trace; its
// PublishMsgAsync retries behind the caller's back and forgets the
// acknowledgement of an attempt once it has timed out.
type link struct {
	name    string
	log     *slog.Logger
	metrics *metrics
	waiting *waiting
	hears   *audience
	// repeated is called when a question was sent again.
	repeated func(subject, reason string)

	nc *nats.Conn
	// inProcess is set where there is no address of the server.
	inProcess bool
	tls       TLS
	prefix    string // of all inboxes of the connection
	inbox     string // prefix of the reply subjects, with its dot
	statuses  chan nats.Status

	// live is whether the connection stands. Asking nats.go would not do: it
	// holds its lock while it shakes hands, for a second with a peer that
	// accepts connections and says nothing.
	live, closed atomic.Bool
	ended        context.Context // when it is closed
	end          context.CancelFunc
	// next is used in place of this one while it moves to another server.
	next   atomic.Pointer[link]
	moving atomic.Bool
	// isBridge is set where this is such a one.
	isBridge bool
	urls     string
	// options are those of the connection, but for its own handlers.
	options []nats.Option

	lastAck     atomic.Pointer[time.Time] // when the last message was stored
	dropped     atomic.Pointer[time.Time] // when the connection last did
	connectedAt atomic.Pointer[time.Time] // when it was last made

	greeting   greeting
	asksNobody atomic.Bool

	mu      sync.Mutex
	up      chan struct{} // closed and replaced at each connect
	made    bool          // connected at least once
	refused error         // why a person must help before it can connect
	lastErr connError
	server  string          // the last that was connected to
	told    map[string]bool // errors logged since the last connect
}

func newLink(name string, log *slog.Logger, m *metrics) *link {
	ended, end := context.WithCancel(context.Background())
	return &link{
		ended: ended, end: end,
		name: name, log: log.With("connection", name), metrics: m,
		waiting:  newWaiting(),
		hears:    &audience{stray: func() {}, second: func(string) {}, ignored: func(string, *nats.Msg) {}},
		repeated: func(string, string) {},
		up:       make(chan struct{}), told: make(map[string]bool),
	}
}

// secured says what TLS there is to be.
func (l *link) secured(t TLS) {
	l.tls = t
	l.greeting.certificate = t.HandshakeFirst && t.CertFile != ""
}

// dial connects. The inbox is under a prefix, with a name of its own by which
// nobody finds it who was not told.
func (l *link) dial(urls, prefix string, options []nats.Option) error {
	l.urls, l.options = urls, options
	l.prefix, l.inbox = prefix, prefix+"."+newToken()+"."
	own := append(l.handlers(), nats.SetCustomDialer(&l.greeting),
		nats.CustomInboxPrefix(prefix)) // also for what JetStream's client asks
	nc, err := nats.Connect(urls, append(own, options...)...)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	l.nc = nc
	l.look()
	l.statuses = nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	go l.followStatus()
	// Established again by nats.go at each reconnect.
	if _, err := nc.Subscribe(l.inbox+"*", l.receive); err != nil {
		return fmt.Errorf("subscribe to the inbox: %w", err)
	}
	return nil
}

// look asks nats.go whether the connection stands. It may wait for a handshake.
func (l *link) look() {
	if l.nc.IsConnected() {
		l.live.Store(true)
	}
}

// serverInUse is the URL of the server, without password, or "in process", or empty.
func (l *link) serverInUse() string {
	l = l.current()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.live.Load() {
		return ""
	}
	return l.server
}

// receive hands a reply to whoever waits for it.
func (l *link) receive(m *nats.Msg) {
	became, hears, subject := l.waiting.settle(strings.TrimPrefix(m.Subject, l.inbox), m)
	hears = cmp.Or(hears, l.hears)
	switch became {
	case stray:
		hears.stray()
	case second:
		hears.second(subject)
	case ignored:
		hears.ignored(subject, m)
	}
}

// post sends m, to be answered to one, and returns when ctx ends at the latest.
// An error other than that of ctx means that nothing was sent.
//
// The client may be writing to a peer that reads nothing, and holds its lock
// meanwhile, for writeTimeout at most; those who only want to send wait for the
// lock, whatever their deadline. So somebody else waits for it, and sends m late
// when ctx ended meanwhile.
func (l *link) post(ctx context.Context, m *nats.Msg, one *waiter) error {
	sent := make(chan error, 1)
	go func() { sent <- l.hand(ctx, m, one) }()
	select {
	case err := <-sent:
		return err
	case <-ctx.Done():
		return over(ctx)
	}
}

// errClosed is the end of the connection, which is not made again.
var errClosed = fmt.Errorf("%w: closed", visit.ErrDisconnected)

// hand gives m to the client.
func (l *link) hand(ctx context.Context, m *nats.Msg, one *waiter) error {
	// Before the first connect nats.go takes the server for one without
	// headers and says so.
	switch {
	case l.closed.Load():
		return errClosed
	case !l.live.Load():
		return visit.ErrDisconnected
	}
	if ctx.Err() != nil {
		return over(ctx)
	}
	addressed := *m // an earlier try may still be being sent
	addressed.Reply = l.inbox + one.token
	l.waiting.sending(one)
	err := l.nc.PublishMsg(&addressed)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: NATS accepts at most %d bytes", visit.ErrTooLarge, l.nc.MaxPayload())
	case errors.Is(err, nats.ErrBadSubject):
		return err
	default:
		return visit.ErrDisconnected
	}
}

// request sends m and waits for a reply that is accepted. It ends at once when the
// connection drops or NATS refuses the subject.
func (l *link) request(ctx context.Context, m *nats.Msg, accepts func(*nats.Msg) bool) (*nats.Msg, error) {
	l = l.current()
	one, err := l.waiting.add(m.Subject, accepts, make(chan settlement, 1), l.hears)
	if err != nil {
		return nil, err
	}
	if err := l.post(ctx, m, one); err != nil {
		l.waiting.remove(one)
		return nil, err
	}
	select {
	case s := <-one.settled:
		return s.reply, s.err
	case <-ctx.Done():
	}
	if l.waiting.remove(one) {
		return nil, over(ctx)
	}
	s := <-one.settled
	return s.reply, s.err
}

// over says why a context that is done ended the wait.
func over(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return visit.ErrTimeout
	}
	return ctx.Err()
}

// isNoResponders reports whether a reply is the server's own word that nobody
// listens.
func isNoResponders(m *nats.Msg) bool {
	return len(m.Data) == 0 && m.Header.Get("Status") == "503"
}

// connected is closed at the next connect.
func (l *link) connected() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// heard notes that a message was stored.
func (l *link) heard() {
	now := time.Now()
	l.lastAck.Store(&now)
}

// silence is for how long none was.
func (l *link) silence() time.Duration {
	if last := l.lastAck.Load(); last != nil {
		return time.Since(*last)
	}
	return math.MaxInt64
}

func (l *link) wasConnected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.made
}

// flush waits until the server has everything that was sent, or for a moment.
// What it then does not have nobody was promised: whoever was, had an answer.
func (l *link) flush(ctx context.Context) error {
	l = l.current()
	if !l.live.Load() {
		return nil // and so nothing is buffered
	}
	waiting, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := l.nc.FlushWithContext(waiting)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("flush the %s connection: %w", l.name, err)
	}
	if err != nil {
		l.log.Warn("not flushed", "err", err.Error())
	}
	return nil
}

func (l *link) close() {
	l.closed.Store(true)
	l.end()
	if next := l.next.Load(); next != nil {
		next.close()
	}
	if l.nc != nil {
		l.nc.Close()
	}
}
