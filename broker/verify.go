package broker

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// verify returns what makes a stream unusable: everything by which an
// acknowledged message could be lost or none be stored. Each fault names the
// stream, the field, what was found and wanted, and the remedy.
func verify(want blueprint, found jetstream.StreamConfig) error {
	var faults []string
	refuse := func(field string, found, wanted any, remedy string) {
		faults = append(faults, fmt.Sprintf("stream %s: %s is %v, wanted %v: %s", want.name, field, found, wanted, remedy))
	}
	edit := func(flags string) string { return "nats stream edit " + want.name + " " + flags }
	anew := "it cannot be changed; nats backup stream " + want.name + " DIRECTORY, then nats stream rm " + want.name + ", and the relay creates it"
	if found.Storage != jetstream.FileStorage {
		refuse("storage", "memory", "file", anew)
	}
	if !covers(found.Subjects, want.subject) {
		refuse("subjects", strings.Join(found.Subjects, ","), want.subject, edit("--subjects '"+want.subject+"'"))
	}
	if found.MaxMsgSize > 0 && int64(found.MaxMsgSize) < want.largest {
		refuse("max_msg_size", found.MaxMsgSize, fmt.Sprintf("at least %d", want.largest), edit("--max-msg-size -1")+", or lower the relay's body limit")
	}
	if found.Sealed {
		refuse("sealed", true, false, anew)
	}
	if found.NoAck {
		refuse("no_ack", true, false, edit("--ack"))
	}
	// Acknowledges what a kill -9 then loses.
	if found.PersistMode == jetstream.AsyncPersistMode {
		refuse("persist_mode", "async", "default", anew)
	}
	// Acknowledges a message that no consumer waits for, and forgets it.
	if found.Retention == jetstream.InterestPolicy {
		refuse("retention", "interest", "limits", anew)
	}
	if faults == nil {
		return nil
	}
	return errors.New(strings.Join(faults, "; "))
}

// covers reports whether one of the subjects takes everything that filter does.
func covers(subjects []string, filter string) bool {
	for _, s := range subjects {
		if covered(strings.Split(s, "."), strings.Split(filter, ".")) {
			return true
		}
	}
	return false
}

func covered(subject, filter []string) bool {
	for i, token := range subject {
		switch {
		case token == ">":
			return len(filter) > i
		case i >= len(filter) || filter[i] == ">":
			return false
		case token != "*" && token != filter[i]:
			return false
		}
	}
	return len(subject) == len(filter)
}
