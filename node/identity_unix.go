//go:build unix

package node

import (
	"errors"
	"os"
	"syscall"
)

// claim takes a key file for this process, for as long as the returned file stays open; it reports false where another
// participant on this machine has it. The kernel lets it go with the process, however that ends.
func claim(path string) (*os.File, bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, false, f.Close()
	}
	return f, true, nil // a file system without locks is no reason not to start
}
