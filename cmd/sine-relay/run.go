package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"time"
)

// serve answers until ctx ends and then shuts down. It returns nil after an
// orderly end.
func (a *app) serve(ctx context.Context) error {
	failed := make(chan error, 2)
	for server, socket := range map[*http.Server]net.Listener{a.public: a.publicSocket, a.admin: a.adminSocket} {
		go func() {
			if err := server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", socket.Addr(), err)
			}
		}()
	}
	a.announce()
	go a.watch(ctx)
	go a.reloader.run(ctx, a.hangup)
	go a.census.run(ctx)
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
	case err := <-failed:
		a.release()
		return err
	}
	return a.shutdown()
}

// shutdown ends in the only order that loses nothing. Draining NATS while calls
// are in flight would fail what is stored all the same: the last answer comes
// first.
func (a *app) shutdown() error {
	a.readiness.Drain()
	a.relay.Drain()
	wait(a.settings.DrainDelay) // until no more calls are sent here
	ctx, cancel := context.WithTimeout(context.Background(), a.settings.ShutdownTimeout)
	defer cancel()
	err := a.public.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("calls were still in flight after %s: %w", a.settings.ShutdownTimeout, err)
	}
	a.relay.Settle(ctx)
	err = errors.Join(err, a.broker.Close(ctx), a.admin.Shutdown(ctx))
	a.release()
	a.log.Info("stopped")
	return err
}

func wait(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}

// release closes whatever is open.
func (a *app) release() {
	signal.Stop(a.hangup)
	for _, server := range []*http.Server{a.public, a.admin} {
		if server != nil {
			server.Close()
		}
	}
	for _, socket := range []net.Listener{a.publicSocket, a.adminSocket} {
		if socket != nil {
			socket.Close()
		}
	}
	if a.broker != nil {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		a.broker.Close(ended)
	}
	if a.spool != nil {
		if err := a.spool.Close(); err != nil {
			a.log.Error("close the spool", "err", err.Error())
		}
	}
	if a.embedded != nil {
		a.embedded.Shutdown()
	}
}
