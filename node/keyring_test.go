package node

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"murmuration/chunker/envelope"
	"murmuration/chunker/seal"
	"murmuration/mesh"
	"murmuration/mesh/ownerfile"
	"murmuration/node/archive"
)

func ringKey(n byte, broadcast string) archive.Key {
	return archive.Key{Channel: envelope.Channel{n}, Broadcast: broadcast}
}

func ringSecret(n byte) seal.Secret { return seal.Secret(bytes.Repeat([]byte{n}, seal.SecretSize)) }

func openRing(t *testing.T, dir string) *keyring {
	t.Helper()
	k, err := openKeyring(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestKeyring keeps secrets over runs, in a file that only its owner reads, which two participants share.
func TestKeyring(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	a, b := openRing(t, dir), openRing(t, dir)
	if _, ok := a.secret(ringKey(1, "0a")); ok {
		t.Error("an empty keyring has a secret")
	}
	for k, w := range map[*keyring]byte{a: 1, b: 2} {
		if err := k.keep(ringKey(w, "0a"), ringSecret(w)); err != nil {
			t.Fatal(err)
		}
		if err := k.keep(ringKey(w, "0a"), ringSecret(w)); err != nil { // once more, for nothing
			t.Fatal(err)
		}
	}
	if err := a.keep(ringKey(1, "0a"), ringSecret(3)); err != nil { // the last one counts
		t.Fatal(err)
	}
	path := filepath.Join(dir, keyringFile)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	text, err := os.ReadFile(path)
	if err != nil || bytes.Count(text, []byte("\n")) != 3 {
		t.Errorf("%d lines, %v", bytes.Count(text, []byte("\n")), err)
	}
	k := openRing(t, dir)
	for b, want := range map[archive.Key]seal.Secret{ringKey(1, "0a"): ringSecret(3), ringKey(2, "0a"): ringSecret(2)} {
		if got, ok := k.secret(b); !ok || got != want {
			t.Errorf("%v: %v", b, ok)
		}
	}
	if _, ok := k.secret(ringKey(1, "0b")); ok {
		t.Error("another broadcast's")
	}

	// What a link gives comes first, and is not in the file until it has proved right.
	if err := k.hold(ringKey(2, "0a"), bytes.Repeat([]byte{7}, mesh.LinkKeySize)); err != nil {
		t.Fatal(err)
	}
	if got, _ := k.secret(ringKey(2, "0a")); got != ringSecret(7) {
		t.Error("the link's is not taken")
	}
	if got, _ := openRing(t, dir).secret(ringKey(2, "0a")); got != ringSecret(2) {
		t.Error("the link's is in the file")
	}
	if err := k.hold(ringKey(2, "0a"), make(mesh.LinkKey, mesh.LinkKeySize)); !errors.Is(err, ErrLink) {
		t.Errorf("a key of zeros: %v", err)
	}
	var none *keyring
	if _, ok := none.secret(ringKey(1, "0a")); ok {
		t.Error("a seed has a secret")
	}
}

// TestKeyringTorn takes up what a power cut left.
func TestKeyringTorn(t *testing.T) {
	dir := t.TempDir()
	k := openRing(t, dir)
	for n := byte(1); n < 3; n++ {
		if err := k.keep(ringKey(n, "0a"), ringSecret(n)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, keyringFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(whole) / 2; cut < len(whole); cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		k := openRing(t, dir)
		if _, ok := k.secret(ringKey(2, "0a")); ok {
			t.Fatalf("%d of %d bytes hold it already", cut, len(whole))
		}
		if err := k.keep(ringKey(3, "0a"), ringSecret(3)); err != nil {
			t.Fatal(err)
		}
		k = openRing(t, dir)
		for _, n := range []byte{1, 3} {
			if got, ok := k.secret(ringKey(n, "0a")); !ok || got != ringSecret(n) {
				t.Fatalf("after %d of %d bytes: %d is gone", cut, len(whole), n)
			}
		}
	}
}

// TestKeyringRefuses: a file that others may read or that says something else is no keyring, and no error shows a key.
func TestKeyringRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, keyringFile)
	name := mesh.ChannelName(envelope.Channel{1}) + "/0a"
	secret := ringSecret(5)
	good := name + " " + keyText.EncodeToString(secret[:])
	for what, c := range map[string]struct {
		text string
		mode os.FileMode
		says string
	}{
		"readable by others": {good + "\n", 0o644, "chmod 600"},
		"by the group":       {good + "\n", 0o640, "chmod 600"},
		"no key":             {name + "\n", 0o600, "line 1"},
		"three words":        {"# mine\n" + good + " x\n", 0o600, "line 2"},
		"no channel":         {"x/0a " + keyText.EncodeToString(secret[:]) + "\n", 0o600, "line 1"},
		"no broadcast":       {strings.Replace(good, "/0a", "", 1) + "\n", 0o600, "line 1"},
		"a bad broadcast":    {strings.Replace(good, "/0a", "/../x", 1) + "\n", 0o600, "line 1"},
		"a short key":        {good[:len(good)-4] + "\n", 0o600, "line 1"},
		"padding":            {good + "=\n", 0o600, "line 1"},
		"zeros":              {name + " " + strings.Repeat("A", 43) + "\n", 0o600, "line 1"},
		"too large":          {strings.Repeat("#\n", maxKeyring/2+1), 0o600, "more than"},
	} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := openKeyring(dir)
		if !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "BQUF") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.Remove(path); err != nil { // with the mode of the last case
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("# a comment\n\n"+good+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, ok := openRing(t, dir).secret(ringKey(1, "0a")); !ok || got != secret {
		t.Error("a good file is not read")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := local(t, "viewer")
	cfg.Dir = dir
	if _, err := NewViewer(ViewerConfig{Config: cfg, Link: "murmur://" + name}); !errors.Is(err, ErrKey) || !errors.Is(err, ownerfile.ErrMode) {
		t.Errorf("a viewer with a readable keyring: %v", err)
	}
}

func FuzzKeyring(f *testing.F) {
	f.Add([]byte(mesh.ChannelName(envelope.Channel{1}) + "/0a " + strings.Repeat("B", 43) + "\n"))
	f.Add([]byte("#\n\nx"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeyring(text)
		if err != nil {
			return
		}
		for k, s := range keys {
			if envelope.CheckName(k.Broadcast) != nil || s == (seal.Secret{}) {
				t.Errorf("%v", k)
			}
		}
	})
}
