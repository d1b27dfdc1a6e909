package envelope

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{
		"main": true, "0": true, "a-b": true, strings.Repeat("a", MaxName): true,
		"": false, "-a": false, "A": false, "a b": false, "a/b": false, "..": false, "é": false,
		strings.Repeat("a", MaxName+1): false,
	} {
		if err := CheckName(name); (err == nil) != good || err != nil && !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	start := time.Date(2026, 9, 21, 12, 0, 0, 0, time.UTC)
	last := ""
	for i := range 1000 {
		id := NewBroadcastID(start.Add(time.Duration(i)*time.Millisecond), nil)
		if err := CheckName(id); err != nil || len(id) != 16 || id <= last {
			t.Fatal(id, last, err)
		}
		last = id
	}
	if a, b := NewBroadcastID(start, nil), NewBroadcastID(start, nil); a == b {
		t.Error("two broadcasts of one millisecond have one id")
	}
	if a, b := NewBroadcastID(start, strings.NewReader("12345678")), NewBroadcastID(start, strings.NewReader("12345678")); a != b {
		t.Error("the id does not follow the random source")
	}
}
