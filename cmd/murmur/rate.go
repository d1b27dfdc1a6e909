package main

import (
	"fmt"
	"strconv"
	"strings"
)

// bitRate is a flag in bits a second, such as 8M, 2.5M or 800k.
type bitRate int64

// UnmarshalText reads a rate.
func (r *bitRate) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	factor := 1.0
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'k', 'K':
			factor = 1e3
		case 'm', 'M':
			factor = 1e6
		case 'g', 'G':
			factor = 1e9
		}
		if factor > 1 {
			s = s[:n-1]
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0 && v*factor <= 1e12) {
		return fmt.Errorf("%q is not a rate in bits a second, such as 8M or 800k", text)
	}
	*r = bitRate(v * factor)
	return nil
}
