package archive

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrLocked is wrapped by what Open returns where another process has the store.
	ErrLocked = errors.New("recordings are in use by another process")
	// ErrNotFound is wrapped where a block or a recording is not here.
	ErrNotFound = errors.New("not in the recordings")
	// ErrPrivate is wrapped where a private recording's media is wanted and nothing that opens it was given.
	ErrPrivate = errors.New("the recording is private: its key is needed")
	// ErrFinished is returned by Append for a chunk that a finished recording does not have.
	ErrFinished = errors.New("recording is finished")
	// ErrCorrupt is wrapped where a file is damaged beyond what the store can work around.
	ErrCorrupt = errors.New("recording is damaged")
	// ErrFull is wrapped by Append, Finish, Adopt and ImportCAR where the disk is full. What was there before is whole.
	ErrFull = errors.New("no room left for recordings")
	// ErrReadOnly is returned by everything that changes a store that was opened to look only.
	ErrReadOnly = errors.New("recordings are opened read-only")
	// ErrHostile is wrapped where a CAR or a view passes a bound or is not what it claims.
	ErrHostile = errors.New("not a recording that can be accepted")
	// ErrClosed is returned by what is called after Close or Remove.
	ErrClosed = errors.New("recording is closed")
)

// errScratch says that a recording is loaded again by the next who asks.
var errScratch = errors.New("the recording's index cannot be read")

// diskError tells a full disk from other trouble.
func diskError(op string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%s: %w: %w", op, ErrFull, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}
