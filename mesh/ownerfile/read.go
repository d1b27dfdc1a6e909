package ownerfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

var (
	// ErrMode means that others than the owner may read or write a file.
	ErrMode = errors.New("others than its owner may read it")
	// ErrNoFile means that what has the name is a folder or a device.
	ErrNoFile = errors.New("it is not a file")
	// ErrTooLarge means that a file has more bytes than its reader takes.
	ErrTooLarge = errors.New("it is too large")
)

// Load returns what the file at path holds, at most limit bytes. A missing file is an error that wraps fs.ErrNotExist; the
// others are Read's.
func Load(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Read(f, limit)
}

// Read returns what an open file holds from where it stands, at most limit bytes. Its errors begin with the file's name and
// wrap ErrMode, ErrNoFile or ErrTooLarge, or are those of reading. None shows what the file holds.
func Read(f *os.File, limit int) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", f.Name(), ErrNoFile)
	}
	// Windows has no such bits; its files are guarded by the folder they are in.
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, fmt.Errorf("%s: %w (mode %04o); use: chmod 600 %s", f.Name(), ErrMode, mode, f.Name())
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > limit {
		return nil, fmt.Errorf("%s: %w: it has more than %d bytes", f.Name(), ErrTooLarge, limit)
	}
	return data, nil
}
