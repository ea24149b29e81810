package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"time"
)

// Run answers until ctx ends and then shuts down. It returns nil after an
// orderly shutdown.
func (a *Server) Run(ctx context.Context) error {
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
	go a.reloader.run(ctx, a.sighup)
	go a.monitor.run(ctx)
	select {
	case <-ctx.Done():
		a.Log.Info("stopping")
	case err := <-failed:
		a.release()
		return err
	}
	return a.shutdown()
}

// shutdown ends in the only order that loses nothing. Draining NATS while calls
// are in flight would fail what is stored all the same: the last answer comes
// first.
func (a *Server) shutdown() error {
	a.Readiness.Drain()
	a.relay.Drain()
	wait(a.Settings.DrainDelay) // until no more calls are sent here
	ctx, cancel := context.WithTimeout(context.Background(), a.Settings.ShutdownTimeout)
	defer cancel()
	err := a.public.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("calls were still in flight after %s: %w", a.Settings.ShutdownTimeout, err)
	}
	a.relay.Flush(ctx)
	err = errors.Join(err, a.Broker.Close(ctx), a.admin.Shutdown(ctx))
	a.release()
	a.Log.Info("stopped")
	return err
}

func wait(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}

// release closes whatever is open.
func (a *Server) release() {
	signal.Stop(a.sighup)
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
	if a.Broker != nil {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		a.Broker.Close(ended)
	}
	if a.spool != nil {
		if err := a.spool.Close(); err != nil {
			a.Log.Error("close the spool", "err", err.Error())
		}
	}
	if a.Embedded != nil {
		a.Embedded.Shutdown()
	}
}
