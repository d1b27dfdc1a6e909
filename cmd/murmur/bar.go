package main

import (
	"fmt"
	"strings"
	"time"
)

const (
	barWidth = 24                     // characters
	barEvery = 150 * time.Millisecond // between two pictures of it
)

// bar returns what shows how far a long work on bytes is: a bar in place on a terminal, else a line now and again. A total
// of zero is one that is not known.
func (m *meter) bar(what string) func(done, total int64) {
	every := dull
	if m.terminal {
		every = barEvery
	} else {
		m.last = m.began // what takes a moment needs no line
	}
	return func(done, total int64) {
		now := time.Now()
		if now.Sub(m.last) < every && (!m.terminal || done != total) {
			return
		}
		m.last = now
		spent := now.Sub(m.began)
		rate := float64(done) / max(spent.Seconds(), 0.001)
		line := fmt.Sprintf("%s  %s, %s/s", what, byteSize(done), byteSize(int64(rate)))
		if total > 0 {
			part := min(1, float64(done)/float64(total))
			full := int(part * barWidth)
			left := "?"
			if rate > 0 && spent > time.Second {
				left = time.Duration(float64(max(0, total-done)) / rate * float64(time.Second)).Round(time.Second).String()
			}
			line = fmt.Sprintf("%s  [%s%s] %3.0f %%  %s of %s, %s/s, about %s left", what, strings.Repeat("=", full),
				strings.Repeat(" ", barWidth-full), 100*part, byteSize(done), byteSize(total), byteSize(int64(rate)), left)
		}
		if m.terminal {
			m.write("\r\x1b[K" + line)
		} else {
			m.write(line + "\n")
		}
	}
}

// byteSize is a number of bytes: as a flag such as 200G or 512M, and as text to read.
type byteSize int64

// UnmarshalText reads a size. Units are powers of 1000, as disks are sold.
func (b *byteSize) UnmarshalText(text []byte) error {
	s := strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(string(text))), "B")
	factor := 1.0
	if n := len(s); n > 0 {
		if i := strings.IndexByte("KMGT", s[n-1]); i >= 0 {
			for range i + 1 {
				factor *= 1000
			}
			s = s[:n-1]
		}
	}
	var v float64
	if _, err := fmt.Sscanf(s+"\n", "%f\n", &v); err != nil || !(v >= 0 && v*factor < 1e18) {
		return fmt.Errorf("%q is not a size in bytes, such as 200G or 512M", text)
	}
	*b = byteSize(v * factor)
	return nil
}

// String returns the size with the unit that fits it.
func (b byteSize) String() string {
	v, unit := float64(b), 0
	for v >= 999.5 && unit < 4 {
		v /= 1000
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%.0f B", v)
	}
	digits := 0
	if v < 9.95 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %cB", digits, v, "kMGT"[unit-1])
}
