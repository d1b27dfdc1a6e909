package archive

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"murmuration/chunker/envelope"
)

// Key names a recording.
type Key struct {
	Channel   envelope.Channel
	Broadcast string
}

// String returns "CHANNEL/BROADCAST".
func (k Key) String() string { return channelName(k.Channel) + "/" + k.Broadcast }

// State is how far a recording is.
type State string

const (
	// Live is a recording whose broadcast has not ended, as far as is known here.
	Live State = "live"
	// Partial is the recording of an ended broadcast that lacks its view or blocks of it.
	Partial State = "partial"
	// Finished is a recording with its view.
	Finished State = "finished"
)

// Meta is what the caller knows of a broadcast when its recording begins.
type Meta struct {
	Title   string
	Started time.Time // now, where it is zero
	Own     bool      // of a channel whose key is here
}

// Info describes a recording.
type Info struct {
	Key      Key
	Title    string
	Started  time.Time
	Ended    time.Time     // zero while it is live
	Duration time.Duration // of the longest track's media
	Size     int64         // bytes on disk
	Media    int64         // bytes of the chunks' blocks
	Root     cid.Cid       // of the view; undefined where there is none yet
	State    State
	Pinned   bool
	Own      bool
	Full     bool // the last Append found no room

	// KeyScheme is how the media is sealed, as its envelopes or its view say: zero, it is public.
	KeyScheme uint8

	Tracks   []TrackInfo
	Missing  int       // chunks known to be missing
	Damaged  int       // blocks found damaged, or lost, since the store was opened; another Adopt of the root brings them back
	Verified time.Time // when all of it was last read and checked; zero for never
}

// TrackInfo describes a track of a recording.
type TrackInfo struct {
	Name     string
	Chunks   int // that are there
	Bytes    int64
	Duration time.Duration
	Missing  int
}

// maxTitle is the longest title in bytes.
const maxTitle = 1 << 10

// state is the small file beside the CAR.
type state struct {
	Version  int           `json:"version"`
	Title    string        `json:"title"`
	Started  time.Time     `json:"started"`
	Ended    time.Time     `json:"ended,omitzero"`
	Own      bool          `json:"own,omitempty"`
	Pinned   bool          `json:"pinned,omitempty"`
	Scheme   uint8         `json:"key_scheme,omitempty"`
	State    State         `json:"state"`
	Root     string        `json:"root,omitempty"`
	Sealed   bool          `json:"sealed,omitempty"` // the CAR has its header and index
	Whole    bool          `json:"whole,omitempty"`  // all that the root refers to is here, so the view tells what it holds
	Size     int64         `json:"size"`
	Media    int64         `json:"media"`
	Duration time.Duration `json:"duration_ns"`
	Missing  int           `json:"missing"`
	Tracks   []TrackInfo   `json:"tracks,omitempty"`
	Verified time.Time     `json:"verified,omitzero"`
}

const stateVersion = 1

func (st *state) root() cid.Cid {
	c, err := cid.Decode(st.Root)
	if err != nil {
		return cid.Undef
	}
	return c
}

func readState(name string) (state, error) {
	var st state
	info, err := os.Stat(name)
	if err != nil {
		return st, err
	}
	if info.Size() > 1<<20 {
		return st, fmt.Errorf("%s: %w: %d bytes", name, ErrCorrupt, info.Size())
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(b, &st); err != nil {
		return st, fmt.Errorf("%s: %w: %w", name, ErrCorrupt, err)
	}
	if st.Version != stateVersion {
		return st, fmt.Errorf("%s: %w: version %d", name, ErrCorrupt, st.Version)
	}
	if st.State != Live && st.State != Partial && st.State != Finished {
		return st, fmt.Errorf("%s: %w: state %q", name, ErrCorrupt, st.State)
	}
	if st.Root != "" {
		if _, _, ok := asDigest(st.root()); !ok {
			return st, fmt.Errorf("%s: %w: root %q", name, ErrCorrupt, st.Root)
		}
	}
	return st, nil
}

func cleanTitle(s string) string {
	s = strings.ToValidUTF8(strings.TrimSpace(s), "")
	for len(s) > maxTitle {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// The folder of a channel is named by its libp2p peer ID: the identity multihash of the key as protobuf, in base 58.
var keyPrefix = []byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}

func channelName(c envelope.Channel) string {
	return multihash.Multihash(append(append([]byte{}, keyPrefix...), c[:]...)).B58String()
}

func parseChannel(name string) (c envelope.Channel, ok bool) {
	mh, err := multihash.FromB58String(name)
	if err != nil || len(mh) != len(keyPrefix)+len(c) || string(mh[:len(keyPrefix)]) != string(keyPrefix) {
		return c, false
	}
	copy(c[:], mh[len(keyPrefix):])
	return c, channelName(c) == name
}

// base returns the path of a recording's files without their endings.
func (s *Store) base(k Key) string {
	return filepath.Join(s.cfg.Dir, channelName(k.Channel), k.Broadcast)
}
