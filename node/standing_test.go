package node

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseKeys(t *testing.T) {
	many := ""
	for i := range maxStanding + 1 {
		many += fmt.Sprintf("stage-key-%d\n", i)
	}
	for _, c := range []struct {
		name, text string
		want       []standingKey
		fails      string
	}{
		{name: "empty"},
		{name: "comments", text: "# keys\n\n  # more\n"},
		{name: "keys and titles", text: "main-stage-1\nsecond.stage\t The  second stage \r\n", want: []standingKey{
			{"main-stage-1", ""}, {"second.stage", "The  second stage"},
		}},
		{name: "no newline at the end", text: "main-stage-1", want: []standingKey{{"main-stage-1", ""}}},
		{name: "short key", text: "x\n", fails: "line 1"},
		{name: "long key", text: strings.Repeat("x", 129), fails: "line 1"},
		{name: "a slash", text: "\nmain/stage/1", fails: "line 2"},
		{name: "twice", text: "main-stage-1 a\nmain-stage-1 b\n", fails: "same key"},
		{name: "long title", text: "main-stage-1 " + strings.Repeat("x", 257), fails: "title"},
		{name: "control character", text: "main-stage-1 a\x1bb", fails: "control"},
		{name: "not UTF-8", text: "main-stage-1 \xff", fails: "UTF-8"},
		{name: "too many", text: many, fails: "more than 256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseKeys([]byte(c.text))
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("error %v, want %q", err, c.fails)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("main-stage-1 Title\n# c\n"))
	f.Add([]byte("\x00\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeys(text)
		if err != nil {
			return
		}
		for _, k := range keys {
			if checkStreamKey(k.key) != nil || k.title != "" && checkTitle(k.title) != nil {
				t.Errorf("%q", k)
			}
		}
	})
}

// TestStandingKeysFile: changes count at once, and a file that others may read is refused at the start and left alone later, until
// they may not any more.
func TestStandingKeysFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	write := func(text string, mode os.FileMode, at int) {
		t.Helper()
		stamp := time.Unix(int64(at), 0)
		for _, err := range []error{os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode), os.Chtimes(path, stamp, stamp)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	k, err := newStandingKeys(dir, "first-key", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	names := func() (list []string) {
		for _, s := range k.all() {
			list = append(list, s.key+":"+s.title)
		}
		return list
	}
	want := func(list ...string) {
		t.Helper()
		if got := names(); !slices.Equal(got, list) {
			t.Errorf("%q, want %q", got, list)
		}
	}
	want("first-key:")
	write("second-key Stage two\n", 0o600, 1)
	want("first-key:", "second-key:Stage two")
	write("third-key\n", 0o644, 2)
	want("first-key:", "second-key:Stage two")
	if _, err := newStandingKeys(dir, "first-key", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others may read is taken: %v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	want("first-key:", "third-key:")
	write("second-key Stage two\n"+strings.Repeat("#\n", maxKeysFile/2), 0o600, 3)
	want("first-key:", "third-key:")
	if _, err := newStandingKeys(dir, "first-key", slog.New(slog.DiscardHandler)); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), "more than 65536") {
		t.Errorf("a file that is too large is taken: %v", err)
	}
	write("fourth-key\n", 0o600, 4)
	want("first-key:", "fourth-key:")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want("first-key:")
	if _, ok := findKey(k.all(), "fourth-key"); ok {
		t.Error("a key that was taken out still counts")
	}
	if _, ok := findKey([]standingKey{{key: ""}}, ""); ok {
		t.Error("no key is taken for a key")
	}
}
