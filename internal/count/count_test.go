package count

import "testing"

func TestOf_HasOneWordForOneAndAnotherForAllElse(t *testing.T) {
	for n, want := range map[int]string{0: "0 messages wait", 1: "1 message waits", 2: "2 messages wait", 21: "21 messages wait"} {
		if got := Of(n, "message waits", "messages wait"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
