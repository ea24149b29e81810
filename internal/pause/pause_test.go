package pause

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestFor_EndsWithTheTimeOrTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		For(t.Context(), time.Minute)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it took %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		For(ctx, time.Hour)
		if took := time.Since(began); took != time.Minute+time.Second {
			t.Errorf("both took %s", took)
		}
	})
}
