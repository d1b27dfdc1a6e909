package node

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"murmuration/mesh/ownerfile"
	"murmuration/node/ingest"
)

const (
	maxKeysFile = 64 << 10 // bytes
	maxStanding = 256      // keys in the file
)

// standingKey is a stream key that opens a new broadcast whenever somebody publishes with it and none is open.
type standingKey struct {
	key   string
	title string // of its broadcasts; empty for the origin's own
}

// standingKeys are the stream keys of an origin's stages: the one that it prints, and those of the file "keys", one to
// a line, with the title of that stage's broadcasts behind it. The file is read again when it has changed.
type standingKeys struct {
	path string
	main string
	log  *slog.Logger

	mu       sync.Mutex
	modified time.Time
	size     int64
	mode     fs.FileMode // chmod changes neither
	more     []standingKey
}

func newStandingKeys(dir, first string, log *slog.Logger) (*standingKeys, error) {
	dir, err := keyDir(dir)
	if err != nil {
		return nil, err
	}
	k := &standingKeys{path: filepath.Join(dir, "keys"), main: first, log: log}
	if err := k.read(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return k, nil
}

// all returns the keys. A file that became unusable is said once, and what it held before goes on to count.
func (k *standingKeys) all() []standingKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.read(); err != nil {
		k.log.Error("the file of stream keys was not read", "err", err)
	}
	return append([]standingKey{{key: k.main}}, k.more...)
}

// read takes the file in where it has changed.
func (k *standingKeys) read() error {
	f, err := os.Open(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		k.more, k.modified, k.size, k.mode = nil, time.Time{}, 0, 0
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.ModTime().Equal(k.modified) && info.Size() == k.size && info.Mode() == k.mode {
		return nil
	}
	k.modified, k.size, k.mode = info.ModTime(), info.Size(), info.Mode() // what is wrong with it is said once
	text, err := ownerfile.Read(f, maxKeysFile)
	if err != nil {
		return err
	}
	more, err := parseKeys(text)
	if err != nil {
		return fmt.Errorf("%s: %w", k.path, err)
	}
	k.more = more
	return nil
}

// parseKeys reads lines of a key, blanks and a title. Empty lines and those that start with # are passed over.
func parseKeys(text []byte) ([]standingKey, error) {
	var keys []standingKey
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, title := line, ""
		if i := strings.IndexAny(line, " \t"); i >= 0 {
			key, title = line[:i], strings.TrimSpace(line[i:])
		}
		if err := checkStreamKey(key); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if title != "" {
			if err := checkTitle(title); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
		}
		for _, other := range keys {
			if other.key == key {
				return nil, fmt.Errorf("line %d: the same key as on an earlier line", n)
			}
		}
		if len(keys) == maxStanding {
			return nil, fmt.Errorf("line %d: more than %d keys", n, maxStanding)
		}
		keys = append(keys, standingKey{key, title})
	}
	return keys, lines.Err()
}

// checkStreamKey holds a key to what goes into a URL unchanged and is not guessed at once.
func checkStreamKey(key string) error {
	if len(key) < 8 || len(key) > 128 {
		return fmt.Errorf("a stream key of %d characters; 8 to 128 are possible", len(key))
	}
	for _, c := range []byte(key) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("._~-", rune(c)) {
			return errors.New("a stream key may have letters, digits and . _ ~ - only")
		}
	}
	return nil
}

// findKey looks for a key among all of them, in a time that does not tell where it is or whether it is there.
func findKey(keys []standingKey, key string) (standingKey, bool) {
	at := -1
	for i := range keys {
		if keys[i].key != "" && ingest.SameKey(keys[i].key, key) {
			at = i
		}
	}
	if at < 0 {
		return standingKey{}, false
	}
	return keys[at], true
}
