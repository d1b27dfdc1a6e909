package ownerfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLoad: what only its owner may read is read whole, and what is wrong with anything else is told with its name and
// without what it holds.
func TestLoad(t *testing.T) {
	const limit = 32
	file := func(data string, mode fs.FileMode) func(string) error {
		return func(path string) error {
			return errors.Join(os.WriteFile(path, []byte(data), 0o600), os.Chmod(path, mode))
		}
	}
	for _, c := range []struct {
		name string
		make func(path string) error
		data string
		err  error
		says string
	}{
		{name: "usual", make: file("secret", 0o600), data: "secret"},
		{name: "read only", make: file("secret", 0o400), data: "secret"},
		{name: "empty", make: file("", 0o600)},
		{name: "as large as may be", make: file(strings.Repeat("s", limit), 0o600), data: strings.Repeat("s", limit)},
		{name: "a byte more", make: file(strings.Repeat("secret", limit)[:limit+1], 0o600), err: ErrTooLarge, says: "more than 32 bytes"},
		{name: "too large", make: file(strings.Repeat("secret", limit), 0o600), err: ErrTooLarge, says: "more than 32 bytes"},
		{name: "read by the group", make: file("secret", 0o640), err: ErrMode, says: "(mode 0640); use: chmod 600 "},
		{name: "read by all", make: file("secret", 0o604), err: ErrMode, says: "(mode 0604); use: chmod 600 "},
		{name: "written by the group", make: file("secret", 0o620), err: ErrMode, says: "(mode 0620); use: chmod 600 "},
		{name: "too open and too large", make: file(strings.Repeat("secret", limit), 0o644), err: ErrMode, says: "chmod 600 "},
		{name: "a link to one too open", make: func(path string) error {
			return errors.Join(file("secret", 0o644)(path+".to"), os.Symlink(path+".to", path))
		}, err: ErrMode, says: "(mode 0644)"},
		{name: "missing", make: func(string) error { return nil }, err: fs.ErrNotExist},
		{name: "a folder", make: func(path string) error { return os.Mkdir(path, 0o700) }, err: ErrNoFile},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "it")
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			data, err := Load(path, limit)
			if string(data) != c.data || !errors.Is(err, c.err) {
				t.Fatalf("%q, %v", data, err)
			}
			if err == nil {
				return
			}
			if text := err.Error(); !strings.Contains(text, path) || !strings.Contains(text, c.says) || strings.Contains(text, "secret") {
				t.Error(text)
			}
		})
	}
}

// TestRead reads a file that is open for more than reading.
func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "it")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 2 { // not yet anything, then what was appended
		data, err := Read(f, 8)
		if err != nil || len(data) > 0 && string(data) != "a line\n" {
			t.Errorf("%q, %v", data, err)
		}
		if _, err := f.WriteString("a line\n"[len(data):]); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := Load(path, 8); err != nil || string(data) != "a line\n" {
		t.Errorf("%q, %v", data, err)
	}
}
