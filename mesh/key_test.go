package mesh

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"murmuration/mesh/ownerfile"
)

func TestCreateAndLoadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "channel.key")
	if _, err := LoadKey(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("missing file: %v", err)
	}
	key, created, err := LoadOrCreateKey(path)
	if err != nil || !created {
		t.Fatal(created, err)
	}
	again, created, err := LoadOrCreateKey(path)
	if err != nil || created || !key.Equal(again) {
		t.Fatal(created, err)
	}
	if _, err := CreateKey(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("creating it again: %v", err)
	}
	for p, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		st, err := os.Stat(p)
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v", p, st.Mode(), err)
		}
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

func TestConcurrentCreateGivesOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	var wg sync.WaitGroup
	keys := make([]string, 8)
	for i := range keys {
		wg.Go(func() {
			k, _, err := LoadOrCreateKey(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = string(k)
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k != keys[0] {
			t.Fatal("two keys were made")
		}
	}
}

func TestBadKeyFiles(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	good := filepath.Join(t.TempDir(), "good")
	if _, err := CreateKey(good); err != nil {
		t.Fatal(err)
	}
	pemGood, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		mode fs.FileMode
		want error
		says string
	}{
		"readable by all": {pemGood, 0o644, ownerfile.ErrMode, "chmod 600"},
		"group may write": {pemGood, 0o620, ownerfile.ErrMode, "0620"},
		"empty":           {nil, 0o600, ErrKeyFormat, "no PEM block"},
		"text":            {[]byte("hello"), 0o600, ErrKeyFormat, "no PEM block"},
		"public key":      {[]byte(strings.ReplaceAll(string(pemGood), "PRIVATE", "PUBLIC")), 0o600, ErrKeyFormat, "PUBLIC KEY"},
		"other algorithm": {pem.EncodeToMemory(&pem.Block{Type: pemKeyType, Bytes: der}), 0o600, ErrKeyFormat, "ecdsa"},
		"cut":             {pem.EncodeToMemory(&pem.Block{Type: pemKeyType, Bytes: der[:20]}), 0o600, ErrKeyFormat, ""},
		"huge":            {make([]byte, 1<<20), 0o600, ErrKeyFormat, "more than"},
	} {
		path := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		_, _, err := LoadOrCreateKey(path)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := LoadKey(t.TempDir()); !errors.Is(err, ErrKeyFormat) {
		t.Errorf("a folder: %v", err)
	}
}
