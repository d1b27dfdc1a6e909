package ownerfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestWrite: a file appears for its owner only, in a folder of the same kind, and nothing else stays there, whether it is
// written or not.
func TestWrite(t *testing.T) {
	old := func(path string) error {
		return errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("old"), 0o600), os.Chmod(path, 0o644))
	}
	folder := func(path string) error { return os.MkdirAll(path, 0o700) }
	none := func(string) error { return nil }
	for _, c := range []struct {
		name   string
		before func(path string) error
		write  func(string, []byte) error
		holds  string // empty: it is not a file
		mode   fs.FileMode
		fails  bool
		err    error
	}{
		{name: "create", before: none, write: Create, holds: "new", mode: 0o600},
		{name: "replace nothing", before: none, write: Replace, holds: "new", mode: 0o600},
		{name: "create where one is", before: old, write: Create, holds: "old", mode: 0o644, fails: true, err: fs.ErrExist},
		{name: "replace what others may read", before: old, write: Replace, holds: "new", mode: 0o600},
		{name: "create where a folder is", before: folder, write: Create, fails: true, err: fs.ErrExist},
		{name: "replace a folder", before: folder, write: Replace, fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "folder", "it")
			if err := c.before(path); err != nil {
				t.Fatal(err)
			}
			if err := c.write(path, []byte("new")); (err != nil) != c.fails || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("error %v", err)
			}
			if dir, err := os.Stat(filepath.Dir(path)); err != nil || dir.Mode().Perm() != 0o700 {
				t.Errorf("its folder: %v, %v", dir, err)
			}
			left, err := os.ReadDir(filepath.Dir(path))
			if err != nil || len(left) != 1 {
				t.Errorf("left in the folder: %v, %v", left, err)
			}
			if c.holds == "" {
				return
			}
			data, err := os.ReadFile(path)
			if err != nil || string(data) != c.holds {
				t.Errorf("holds %q, %v", data, err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != c.mode {
				t.Errorf("mode %v, %v", info, err)
			}
		})
	}
}
