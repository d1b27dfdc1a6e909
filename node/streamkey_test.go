package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"murmuration/mesh/ownerfile"
)

// TestStreamKey: the key that was made is read again, and a file that is not one, or not its owner's alone, is refused with
// its name.
func TestStreamKey(t *testing.T) {
	dir := t.TempDir()
	made, err := streamKey(dir)
	if err != nil || len(made) != 24 {
		t.Fatal(made, err)
	}
	if again, err := streamKey(dir); err != nil || again != made {
		t.Error(again, err)
	}
	path := filepath.Join(dir, "stream.key")
	for _, x := range []struct {
		name, text string
		mode       fs.FileMode
		want       error
	}{
		{"open to all", made + "\n", 0o644, ownerfile.ErrMode},
		{"open to the group", made + "\n", 0o640, ownerfile.ErrMode},
		{"empty", "\n", 0o600, ErrKey},
		{"two words", "one two\n", 0o600, ErrKey},
		{"not a key", strings.Repeat("x", 1<<20), 0o600, ownerfile.ErrTooLarge},
	} {
		if err := errors.Join(os.WriteFile(path, []byte(x.text), 0o600), os.Chmod(path, x.mode)); err != nil {
			t.Fatal(err)
		}
		_, err := streamKey(dir)
		if !errors.Is(err, ErrKey) || !errors.Is(err, x.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}
