package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"murmuration/mesh/ownerfile"
)

// maxStreamKey bounds the file of the standing stream key, in bytes.
const maxStreamKey = 256

// streamKey reads the standing stream key, or makes one. Whoever has it can broadcast in the channel's name, so a file that
// others may read is refused.
func streamKey(dir string) (string, error) {
	dir, err := keyDir(dir)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "stream.key")
	if b, err := ownerfile.Load(path, maxStreamKey); err == nil {
		key := strings.TrimSpace(string(b))
		if key == "" || strings.ContainsAny(key, "/? \t\n") {
			return "", fmt.Errorf("%w: %s does not hold a stream key: delete it to get a new one", ErrKey, path)
		}
		return key, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	key := randomHex(12)
	if err := ownerfile.Replace(path, []byte(key+"\n")); err != nil {
		return "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	return key, nil
}
