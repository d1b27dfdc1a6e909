package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// SecretSize is the size of a Secret in bytes.
const SecretSize = 32

// ErrSecret is returned by ParseSecret for bytes that cannot be a secret.
var ErrSecret = errors.New("not the secret of a broadcast")

// Secret is what all keys of a private broadcast are derived from. Who has it can watch; it signs nothing. It prints as a
// word in place of its bytes, whatever it is printed with.
type Secret [SecretSize]byte

// NewSecret draws a secret. A nil random means the system's source, which does not fail.
func NewSecret(random io.Reader) (s Secret, err error) {
	if random == nil {
		random = rand.Reader
	}
	if _, err := io.ReadFull(random, s[:]); err != nil {
		return Secret{}, fmt.Errorf("secret: %w", err)
	}
	return s, nil
}

// ParseSecret takes the bytes of a secret. All zero is what a mistake looks like, and is refused.
func ParseSecret(b []byte) (s Secret, err error) {
	if len(b) != SecretSize {
		return s, fmt.Errorf("%w: %d bytes instead of %d", ErrSecret, len(b), SecretSize)
	}
	copy(s[:], b)
	if s == (Secret{}) {
		return s, fmt.Errorf("%w: it is all zero", ErrSecret)
	}
	return s, nil
}

const unsaid = "(secret)"

// Format implements fmt.Formatter: no verb shows the bytes.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, unsaid) }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(unsaid) }

// MarshalText implements encoding.TextMarshaler, so that no encoder of structs gives it away.
func (Secret) MarshalText() ([]byte, error) { return []byte(unsaid), nil }
