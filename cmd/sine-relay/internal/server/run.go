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
func (srv *Server) Run(ctx context.Context) error {
	failed := make(chan error, 2)
	for server, socket := range map[*http.Server]net.Listener{srv.public: srv.publicSocket, srv.admin: srv.adminSocket} {
		go func() {
			if err := server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", socket.Addr(), err)
			}
		}()
	}
	srv.announce()
	go srv.watch(ctx)
	go srv.reloader.run(ctx, srv.sighup)
	go srv.monitor.run(ctx)
	select {
	case <-ctx.Done():
		srv.Log.Info("stopping")
	case err := <-failed:
		srv.release()
		return err
	}
	return srv.shutdown()
}

// shutdown ends in the only order that loses nothing. Draining NATS while calls
// are in flight would fail what is stored all the same: the last answer comes
// first.
func (srv *Server) shutdown() error {
	srv.Readiness.Drain()
	srv.relay.Drain()
	wait(srv.Settings.DrainDelay) // until no more calls are sent here
	ctx, cancel := context.WithTimeout(context.Background(), srv.Settings.ShutdownTimeout)
	defer cancel()
	err := srv.public.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("calls were still in flight after %s: %w", srv.Settings.ShutdownTimeout, err)
	}
	srv.relay.Flush(ctx)
	err = errors.Join(err, srv.Broker.Close(ctx), srv.admin.Shutdown(ctx))
	srv.release()
	srv.Log.Info("stopped")
	return err
}

func wait(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}

// release closes whatever is open.
func (srv *Server) release() {
	signal.Stop(srv.sighup)
	for _, server := range []*http.Server{srv.public, srv.admin} {
		if server != nil {
			server.Close()
		}
	}
	for _, socket := range []net.Listener{srv.publicSocket, srv.adminSocket} {
		if socket != nil {
			socket.Close()
		}
	}
	if srv.Broker != nil {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		srv.Broker.Close(ended)
	}
	closeWindows(srv.windows)
	if srv.spool != nil {
		if err := srv.spool.Close(); err != nil {
			srv.Log.Error("close the spool", "err", err.Error())
		}
	}
	if srv.Embedded != nil {
		srv.Embedded.Shutdown()
	}
}
