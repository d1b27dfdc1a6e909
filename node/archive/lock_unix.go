//go:build unix

package archive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lockDir takes the store's lock for as long as the file stays open. The kernel lets it go with the process, however
// that ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		text, _ := io.ReadAll(io.LimitReader(f, 200)) // the name of the holder is a courtesy
		holder := strings.TrimSpace(string(text))
		if holder == "" {
			holder = "unknown"
		}
		return nil, fmt.Errorf("%w: %s (%s)", ErrLocked, holder, dir)
	}
	text := fmt.Sprintf("process %d, %s\n", os.Getpid(), filepath.Base(os.Args[0]))
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(text), 0)
		if err != nil && !errors.Is(err, syscall.ENOSPC) { // a full disk must not keep anyone from making room
			f.Close()
			return nil, fmt.Errorf("lock: %w", err)
		}
	}
	return f, nil
}

// diskFree returns how many bytes an ordinary user may still write to the file system that holds dir.
func diskFree(dir string) int64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0
	}
	return int64(st.Bavail) * int64(st.Bsize) //nolint:unconvert // the fields' types differ between systems
}
