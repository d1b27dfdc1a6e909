package ownerfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Create writes a new file with mode 0600, in a folder that it makes with mode 0700 where there is none. The file appears
// whole or not at all. An existing one is never touched: the error then wraps fs.ErrExist.
func Create(path string, data []byte) error {
	name, err := write(path, data)
	if err != nil {
		return err
	}
	defer os.Remove(name)
	// A link fails where path exists; rename would replace it.
	err = os.Link(name, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// Some file systems have no hard links: reserve the name, then replace the empty file.
	r, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	r.Close()
	return os.Rename(name, path)
}

// Replace writes a file with mode 0600, in a folder that it makes with mode 0700 where there is none. The file is there
// whole, or what was there before still is: a full disk leaves nothing half written.
func Replace(path string, data []byte) error {
	name, err := write(path, data)
	if err != nil {
		return err
	}
	defer os.Remove(name)
	return os.Rename(name, path)
}

// write returns the name of a file beside path that has the data, on the disk. Where it fails it leaves none.
func write(path string, data []byte) (string, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, ".new-*") // with mode 0600
	if err != nil {
		return "", err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name()) //nolint:errcheck // nothing more can be done about it
		return "", err
	}
	return f.Name(), nil
}
