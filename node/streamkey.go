package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// streamKey reads the standing stream key, or makes one.
func streamKey(dir string) (string, error) {
	dir, err := keyDir(dir)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "stream.key")
	if b, err := os.ReadFile(path); err == nil {
		key := strings.TrimSpace(string(b))
		if key == "" || strings.ContainsAny(key, "/? \t\n") {
			return "", fmt.Errorf("%w: %s does not hold a stream key: delete it to get a new one", ErrKey, path)
		}
		return key, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	key := randomHex(12)
	if err := writeWhole(path, key+"\n"); err != nil {
		return "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	return key, nil
}

// writeWhole makes a file, for its owner only, that is there whole or not at all: a full disk leaves nothing half written.
func writeWhole(path, text string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
