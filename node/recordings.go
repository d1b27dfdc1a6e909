package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"murmuration/node/archive/exchange"
)

// Recordings says what a participant keeps of broadcasts, and how other IPFS nodes find it. The zero value keeps
// everything, as long as a tenth of the disk stays free, and takes no part in the DHT.
type Recordings struct {
	// Dir is the folder of the recordings. Default: DefaultRecordings.
	Dir string

	// Off keeps nothing on disk.
	Off bool

	// Keep says which recordings of a channel are kept.
	Keep Keep

	// Disk is the most that they may take, in bytes. Default: all but a tenth of the disk.
	Disk int64

	// ScrubEvery is how often one of them is read through, to find damage while others still have what is lost.
	// Default: daily.
	ScrubEvery time.Duration

	// Routing is the part taken in the IPFS DHT, by which strangers find recordings and channels.
	Routing exchange.Routing

	// Bootstrap are the peers by which the DHT is entered, and Prefix its name. Default: the public IPFS ones.
	Bootstrap []peer.AddrInfo
	Prefix    protocol.ID
}

// DefaultRecordings returns the folder of the recordings where none is given: recordings in dir, the folder of the keys,
// where one is given, else murmur/recordings in $XDG_DATA_HOME, which is ~/.local/share by default.
func DefaultRecordings(dir string) (string, error) {
	if dir != "" {
		return filepath.Join(dir, "recordings"), nil
	}
	base := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("%w: there is no folder for recordings (%w): give one with --recordings", ErrConfig, err)
		}
		base = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(base, "murmur", "recordings"), nil
}

// Keep says which recordings of a channel are kept: the zero value all, else those that are both among the last Count
// and not older than Age, where these are set.
type Keep struct {
	Count int
	Age   time.Duration
}

// ParseKeep reads "all", a number of recordings such as "20", or a number of days such as "30d".
func ParseKeep(s string) (Keep, error) {
	s = strings.TrimSpace(s)
	if s == "" || s == "all" {
		return Keep{}, nil
	}
	number, days := strings.CutSuffix(s, "d")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > 100_000 {
		return Keep{}, fmt.Errorf("%w: keeping %q is not possible: give all, a number of recordings such as 20, or of days such as 30d", ErrConfig, s)
	}
	if days {
		return Keep{Age: time.Duration(n) * 24 * time.Hour}, nil
	}
	return Keep{Count: n}, nil
}

// String returns the text that ParseKeep reads.
func (k Keep) String() string {
	switch {
	case k.Age > 0:
		return strconv.Itoa(int(k.Age/(24*time.Hour))) + "d"
	case k.Count > 0:
		return strconv.Itoa(k.Count)
	}
	return "all"
}

// wants reports whether the recording that started then, with so many newer ones on its channel, is kept.
func (k Keep) wants(started time.Time, newer int, now time.Time) bool {
	return (k.Count == 0 || newer < k.Count) && (k.Age == 0 || now.Sub(started) <= k.Age)
}
