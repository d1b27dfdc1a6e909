package envelope

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrName is wrapped by what CheckName returns.
var ErrName = errors.New("not a name")

// CheckName checks a broadcast id or a track name: 1 to MaxName bytes of [0-9a-z-], not starting with a dash.
// Such names need no escaping in URLs, topics, file names and on command lines.
func CheckName(s string) error {
	if len(s) == 0 || len(s) > MaxName {
		return fmt.Errorf("%w: %d bytes long, 1 to %d are possible", ErrName, len(s), MaxName)
	}
	return checkName([]byte(s))
}

func checkName(s []byte) error {
	if len(s) == 0 || len(s) > MaxName || s[0] == '-' {
		return fmt.Errorf("%w: empty, too long or starting with a dash", ErrName)
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' {
			return fmt.Errorf("%w: %q is not of 0-9, a-z and the dash", ErrName, s)
		}
	}
	return nil
}

const (
	idTimeDigits   = 9 // base 36, milliseconds since 1970: until the year 5188
	idRandomDigits = 7 // base 36: 36 bits, so that two origins that start in one millisecond differ
)

// NewBroadcastID makes a broadcast id of 16 characters of [0-9a-z] that sorts by start time.
// A nil random means crypto/rand; the function panics where random fails.
func NewBroadcastID(t time.Time, random io.Reader) string {
	if random == nil {
		random = rand.Reader
	}
	var seed [8]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		panic(fmt.Sprintf("envelope: random source: %v", err))
	}
	var id [idTimeDigits + idRandomDigits]byte
	putBase36(id[:idTimeDigits], uint64(max(t.UnixMilli(), 0)))
	putBase36(id[idTimeDigits:], binary.BigEndian.Uint64(seed[:]))
	return string(id[:])
}

// putBase36 writes the last len(dst) base 36 digits of v.
func putBase36(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[v%36]
		v /= 36
	}
}
