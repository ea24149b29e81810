package server

import (
	"strings"
	"testing"
)

func TestFiles_TooLowLimitIsWarnedOf(t *testing.T) {
	t.Parallel()
	if said := fewFiles(1024, 1000); !strings.Contains(said, "1024 files") || !strings.Contains(said, "SINE_RELAY_MAX_CONNECTIONS=1000") {
		t.Errorf("it says %q", said)
	}
	if said := fewFiles(1512, 1000); said != "" {
		t.Errorf("it says %q", said)
	}
	if limit, known := openFiles(); known && limit == 0 {
		t.Error("no file may be open, and here we are")
	}
}
