package main

import "testing"

func TestBitRates(t *testing.T) {
	for text, want := range map[string]bitRate{"8M": 8e6, "2.5m": 2.5e6, "800k": 8e5, "1G": 1e9, "64000": 64000, "0": 0} {
		var r bitRate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want {
			t.Errorf("%s: %d, %v", text, r, err)
		}
	}
	for _, text := range []string{"", "M", "-1M", "8Mbit", "NaN", "1e99"} {
		var r bitRate
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %d", text, r)
		}
	}
}
