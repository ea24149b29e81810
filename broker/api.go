package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const apiPrefix = "$JS.API."

// anyReply accepts whatever is replied.
func anyReply(*nats.Msg) bool { return true }

var errNoJetStream = errors.New("JetStream is not enabled")

// streamInfo is the part of an answer that we read.
type streamInfo struct {
	Config jetstream.StreamConfig `json:"config"`
	State  struct {
		Bytes   uint64 `json:"bytes"`
		Msgs    uint64 `json:"messages"`
		LastSeq uint64 `json:"last_seq"`
	} `json:"state"`
}

// api makes one request to JetStream. nats.go's own waits out its time when a
// subject is denied or the connection drops.
func (k *keeper) api(ctx context.Context, subject string, request, response any) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	var data []byte
	if request != nil {
		var err error
		if data, err = json.Marshal(request); err != nil {
			return err
		}
	}
	reply, err := k.link.request(ctx, &nats.Msg{Subject: apiPrefix + subject, Data: data}, anyReply)
	if err != nil {
		return err
	}
	if isNoResponders(reply) {
		return errNoJetStream
	}
	return readAPI(subject, reply.Data, response)
}

// readAPI reads an answer of JetStream, which may be an error.
func readAPI(subject string, data []byte, response any) error {
	var status struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(data, &status); err != nil {
		return fmt.Errorf("read the reply to %s: %w", subject, err)
	}
	switch e := status.Error; {
	case e == nil:
		return json.Unmarshal(data, response)
	case e.ErrorCode == codeNotEnabled || e.ErrorCode == codeNotEnabledForAccount:
		return errNoJetStream
	default:
		return e
	}
}
