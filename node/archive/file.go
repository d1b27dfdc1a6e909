package archive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// file is what the store needs of an open file; tests stand in for it to fill disks and to count syncs.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
	Stat() (os.FileInfo, error)
}

// opener opens a file as os.OpenFile does, with permissions 0600.
type opener func(name string, flag int) (file, error)

func openFile(name string, flag int) (file, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err // a nil *os.File in an interface would not be nil
	}
	return f, nil
}

// fileSize returns the size in bytes of an open file.
func fileSize(f file) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// writeWhole replaces a small file: the old content or the new one is there after a crash, never a part.
func (s *Store) writeWhole(name string, data []byte) error {
	tmp := name + ".new"
	f, err := s.open(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		os.Remove(tmp) //nolint:errcheck // nothing more can be done about it
		return diskError("write "+filepath.Base(name), err)
	}
	return syncDir(filepath.Dir(name))
}

// syncDir makes the names in a folder as durable as the files.
func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, os.ErrInvalid) {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
