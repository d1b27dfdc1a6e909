package unixfs

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"murmuration/chunker/envelope"

	"github.com/mr-tron/base58"
)

// infoVersion is the version of info.json, and of the directory as a whole; sealedVersion that of private recordings, which
// one must know to be such to make anything of.
const (
	infoVersion   = 1
	sealedVersion = 2
)

// maxScheme bounds Info.KeyScheme, as envelopes do.
const maxScheme = 23

// infoDomain stands before the signed bytes, so that no other signature by the channel's key passes for this one.
const infoDomain = "murmuration recording v1\x00"

// Info is info.json: what a recording is, and its table of contents.
type Info struct {
	Version   int         `json:"version"`
	Channel   string      `json:"channel"` // the channel's peer ID, 12D3KooW...
	Broadcast string      `json:"broadcast"`
	Title     string      `json:"title"`
	Private   bool        `json:"private,omitempty"`    // its media is sealed
	KeyScheme uint8       `json:"key_scheme,omitempty"` // how, as its envelopes' keys say; not 0 where it is private, and only there
	Started   time.Time   `json:"started"`
	Ended     time.Time   `json:"ended"`
	Duration  float64     `json:"duration_s"` // of the longest track as it plays, holes closed up, in seconds
	Size      int64       `json:"bytes"`      // of all chunks
	Tracks    []TrackInfo `json:"tracks"`
	Files     []File      `json:"files"` // all that stands in the root but info.json
	Signature []byte      `json:"-"`     // by the channel's key, 64 bytes; nil where there is none

	signed []byte // the bytes that the signature is over, without the domain
}

// TrackInfo is a track in info.json.
type TrackInfo struct {
	Name          string      `json:"name"`
	Path          string      `json:"path"` // its folder: "" for the root, else "main/"
	Codecs        string      `json:"codecs,omitempty"`
	Width         int         `json:"width,omitempty"` // pixels, of the first format
	Height        int         `json:"height,omitempty"`
	FrameRate     float64     `json:"frame_rate,omitempty"` // pictures per second, where the codec's parameters say it
	SampleRate    int         `json:"sample_rate,omitempty"`
	Channels      int         `json:"channels,omitempty"`
	Duration      float64     `json:"duration_s"`
	Size          int64       `json:"bytes"`
	BitsPerSecond int         `json:"bits_per_second"`
	Peak          int         `json:"peak_bits_per_second"` // of a segment
	Chunks        int         `json:"chunks"`
	Complete      bool        `json:"complete"` // from the first chunk to the end mark, nothing missing
	Recordings    []Recording `json:"recordings"`
	Gaps          []Gap       `json:"gaps,omitempty"`
	Strays        int         `json:"strays,omitempty"` // chunks kept that cannot be decoded, because of the gaps
}

// Recording is one MP4 of a track. There are several where the format changed or decode times went back.
type Recording struct {
	Name     string  `json:"name"` // recording.mp4, recording-2.mp4 ...
	Init     string  `json:"init"` // its init segment: init.mp4 ...
	At       float64 `json:"at_s"` // where it begins in the playlist, in seconds
	Duration float64 `json:"duration_s"`
	Size     int64   `json:"bytes"`
}

// Gap is a run of chunks of one epoch that are missing: From to To, both included.
type Gap struct {
	Epoch uint64 `json:"epoch"`
	From  uint64 `json:"from"`
	To    uint64 `json:"to"`
}

// File is an entry of the root.
type File struct {
	Name string `json:"name"`
	Cid  string `json:"cid"`
	Size int64  `json:"bytes"` // of the content; of all files in it for a folder
}

// channelName returns the channel's peer ID: base58btc of the identity multihash of the key as libp2p encodes it
// (https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md). This package needs no more of libp2p.
func channelName(c envelope.Channel) string {
	return base58.Encode(append([]byte{0, 36, 8, 1, 18, 32}, c[:]...))
}

// ChannelKey returns the channel that the info names.
func (i *Info) ChannelKey() (c envelope.Channel, err error) {
	if len(i.Channel) > 64 {
		return c, fmt.Errorf("%w: channel name too long", ErrHostile)
	}
	raw, err := base58.Decode(i.Channel)
	if err != nil || len(raw) != 38 || !bytes.Equal(raw[:6], []byte{0, 36, 8, 1, 18, 32}) {
		return c, fmt.Errorf("%w: %.60q is no channel", ErrHostile, i.Channel)
	}
	copy(c[:], raw[6:])
	return c, nil
}

// The signature is the last line but one of info.json, and always of this length.
const (
	signatureHead = ",\n  \"signature\": \""
	signatureTail = "\"\n}\n"
	noSignature   = "\n}\n"
)

// encode writes info.json, signed where sign is not nil.
//
// Signed are infoDomain and then the file's bytes from the first up to the comma before the line of the signature, that
// comma not included. Unsigned, the file ends there with a line break and a brace.
func (i *Info) encode(sign func([]byte) []byte) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(i); err != nil {
		return nil, fmt.Errorf("info.json: %w", err)
	}
	body := bytes.TrimSuffix(buf.Bytes(), []byte(noSignature))
	i.signed = bytes.Clone(body)
	if sign == nil {
		return append(body, noSignature...), nil
	}
	i.Signature = sign(append([]byte(infoDomain), body...))
	if len(i.Signature) != ed25519.SignatureSize {
		return nil, fmt.Errorf("info.json: %w: a signature of %d bytes", ErrSource, len(i.Signature))
	}
	body = append(body, signatureHead...)
	body = base64.StdEncoding.AppendEncode(body, i.Signature)
	return append(body, signatureTail...), nil
}

// ParseInfo reads info.json. It does not verify the signature.
func ParseInfo(text []byte) (*Info, error) {
	if len(text) > maxInfo {
		return nil, fmt.Errorf("%w: info.json of %d bytes", ErrHostile, len(text))
	}
	i := &Info{}
	body, ok := bytes.CutSuffix(text, []byte(signatureTail))
	if at := len(body) - base64.StdEncoding.EncodedLen(ed25519.SignatureSize); ok && at >= 0 {
		sig, err := base64.StdEncoding.Strict().DecodeString(string(body[at:]))
		if body, ok = bytes.CutSuffix(body[:at], []byte(signatureHead)); err == nil && ok {
			i.Signature = sig
			i.signed = bytes.Clone(body)
			text = append(bytes.Clone(body), noSignature...)
		}
	}
	if err := json.Unmarshal(text, i); err != nil {
		return nil, fmt.Errorf("%w: info.json: %w", ErrHostile, err)
	}
	if i.Version != infoVersion && i.Version != sealedVersion {
		return nil, fmt.Errorf("%w: info.json of version %d", ErrHostile, i.Version)
	}
	if err := i.check(); err != nil {
		return nil, fmt.Errorf("%w: info.json: %w", ErrHostile, err)
	}
	return i, nil
}

func (i *Info) check() error {
	if _, err := i.ChannelKey(); err != nil {
		return err
	}
	if err := envelope.CheckName(i.Broadcast); err != nil {
		return err
	}
	if sealed := i.Version == sealedVersion; i.Private != sealed || (i.KeyScheme != 0) != sealed || i.KeyScheme > maxScheme {
		return fmt.Errorf("version %d, private %v, key scheme %d", i.Version, i.Private, i.KeyScheme)
	}
	if len(i.Title) > maxTitle || len(i.Tracks) == 0 || len(i.Tracks) > maxTracks || i.Duration < 0 || i.Size < 0 {
		return errors.New("out of bounds")
	}
	for _, t := range i.Tracks {
		if err := envelope.CheckName(t.Name); err != nil {
			return err
		}
		if t.Path != "" && t.Path != t.Name+"/" || len(i.Tracks) > 1 && t.Path == "" {
			return fmt.Errorf("track %s in folder %.60q", t.Name, t.Path)
		}
	}
	return nil
}

// Verify checks that the channel, which the caller knows and trusts, signed this info. Since Open checks that the
// info's files are the root's, the signature covers all of the recording.
func (i *Info) Verify(channel envelope.Channel) error {
	named, err := i.ChannelKey()
	if err != nil {
		return err
	}
	if named != channel {
		return fmt.Errorf("%w: it is of channel %s", ErrSignature, i.Channel)
	}
	if i.Signature == nil || !ed25519.Verify(channel[:], append([]byte(infoDomain), i.signed...), i.Signature) {
		return ErrSignature
	}
	return nil
}

// seconds is how info.json says a length: to milliseconds.
func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds()) / 1000
}

// Length returns Duration.
func (i *Info) Length() time.Duration { return time.Duration(i.Duration * float64(time.Second)) }
