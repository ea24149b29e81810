package live

import (
	"fmt"
	"strings"
	"testing"
)

func TestTokens_LeadBackToTheirNumbersAndDoNotShowThem(t *testing.T) {
	tokens, err := NewTokens()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint64{0, 1, 987654321, 1<<64 - 1} {
		token := tokens.Of(n)
		if back, known := tokens.Number(token); back != n || !known {
			t.Errorf("%d leads back to %d, %v", n, back, known)
		}
		if strings.Contains(token, fmt.Sprint(n)) && n > 1 || strings.Contains(token, fmt.Sprintf("%016x", n)) {
			t.Errorf("%s shows %d", token, n)
		}
	}
	another, err := NewTokens()
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"nothing": "", "a number": "17", "of another process": another.Of(17), "cut": tokens.Of(17)[:30], "longer": tokens.Of(17) + "00",
	} {
		if n, known := tokens.Number(token); known {
			t.Errorf("%s leads to %d", name, n)
		}
	}
}
