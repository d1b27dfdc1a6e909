package mesh

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Key files hold one Ed25519 private key as PEM of PKCS #8 (RFC 8410), the form that openssl writes with
// "openssl genpkey -algorithm ed25519".

var (
	// ErrKeyMode means that others than the owner may read a key file.
	ErrKeyMode = errors.New("others than its owner may read it")
	// ErrKeyFormat means that a key file does not hold an Ed25519 private key.
	ErrKeyFormat = errors.New("it does not hold an Ed25519 private key")
)

const (
	pemKeyType = "PRIVATE KEY"
	maxKeyFile = 4 << 10 // bytes; a real one has 119
)

// LoadKey reads the key in the file at path. A missing file is an error that wraps fs.ErrNotExist; a file that others
// may read is refused with ErrKeyMode.
func LoadKey(path string) (ed25519.PrivateKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("key file %s: %w: it is not a file", path, ErrKeyFormat)
	}
	// Windows has no such bits; its files are guarded by the folder they are in.
	if mode := st.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, fmt.Errorf("key file %s: %w (mode %04o); use: chmod 600 %s", path, ErrKeyMode, mode, path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if len(raw) > maxKeyFile {
		return nil, fmt.Errorf("key file %s: %w: it has more than %d bytes", path, ErrKeyFormat, maxKeyFile)
	}
	key, err := parseKey(raw)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return key, nil
}

func parseKey(raw []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%w: no PEM block", ErrKeyFormat)
	}
	if block.Type != pemKeyType {
		return nil, fmt.Errorf("%w: a PEM block %q instead of %q", ErrKeyFormat, block.Type, pemKeyType)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFormat, err)
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: it holds a %T", ErrKeyFormat, k)
	}
	return key, nil
}

// CreateKey makes a fresh key and writes it to a new file at path with mode 0600, in a folder that it makes with mode
// 0700 where there is none. The file appears whole or not at all. An existing file is never touched: the error then wraps
// fs.ErrExist.
func CreateKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if err := writeNew(path, pem.EncodeToMemory(&pem.Block{Type: pemKeyType, Bytes: der})); err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	return key, nil
}

// writeNew writes a file beside path and links it into place, which fails where path exists (rename would replace it).
func writeNew(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	err = os.Link(f.Name(), path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// Some file systems have no hard links: reserve the name, then replace the empty file.
	r, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	r.Close()
	return os.Rename(f.Name(), path)
}

// LoadOrCreateKey reads the key at path, or makes one there. Created reports which.
func LoadOrCreateKey(path string) (key ed25519.PrivateKey, created bool, err error) {
	key, err = LoadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	key, err = CreateKey(path)
	if errors.Is(err, fs.ErrExist) { // another process was quicker
		key, err = LoadKey(path)
		return key, false, err
	}
	return key, err == nil, err
}
