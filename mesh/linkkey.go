package mesh

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// LinkKeySize is the size in bytes of what a link to a private broadcast carries.
const LinkKeySize = 32

// linkKeyParam is its parameter in a link.
const linkKeyParam = "k"

// LinkKey is what a link to a private broadcast carries besides where it is: bytes that open it, which the mesh has no use
// for. It is empty in links to public broadcasts. It prints as a word in place of its bytes, whatever it is printed with.
type LinkKey []byte

var linkKeyText = base64.RawURLEncoding.Strict()

// parseLinkKey reads the parameter's value: base64url without padding (RFC 4648, section 5), in its one form.
func parseLinkKey(text string) (LinkKey, error) {
	if len(text) != linkKeyText.EncodedLen(LinkKeySize) {
		return nil, fmt.Errorf("its key k= has %d characters, not %d: was the link copied whole?", len(text), linkKeyText.EncodedLen(LinkKeySize))
	}
	key, err := linkKeyText.DecodeString(text)
	if err != nil || len(key) != LinkKeySize { // line breaks in it are not counted by the decoder
		return nil, errors.New("its key k= is not one: was the link copied whole?")
	}
	return key, nil
}

// text returns the parameter's value.
func (k LinkKey) text() string { return linkKeyText.EncodeToString(k) }

const unsaidKey = "(key)"

// Format implements fmt.Formatter: no verb shows the bytes.
func (LinkKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, unsaidKey) }

// LogValue implements slog.LogValuer.
func (LinkKey) LogValue() slog.Value { return slog.StringValue(unsaidKey) }

// MarshalText implements encoding.TextMarshaler, so that no encoder of structs gives it away.
func (LinkKey) MarshalText() ([]byte, error) { return []byte(unsaidKey), nil }
