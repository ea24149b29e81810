package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// FindRecords returns the records of decisions since a time whose request id
// begins with reference, oldest first.
func FindRecords(ctx context.Context, cfg Config, reference string, since time.Time) ([]visit.Record, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	nc, err := cfg.dialOperator()
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	var found []visit.Record
	err = scan(ctx, nc, cfg.Decisions.Name, since, func(m *jetstream.RawStreamMsg) error {
		if !strings.HasPrefix(m.Header.Get(visit.HeaderRequestID), reference) {
			return nil
		}
		var r visit.Record
		if err := json.Unmarshal(m.Data, &r); err != nil {
			return fmt.Errorf("message %d of stream %s is not a decision record: %w", m.Sequence, cfg.Decisions.Name, err)
		}
		found = append(found, r)
		return nil
	})
	return found, err
}
