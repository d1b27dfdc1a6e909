package mesh

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"

	"murmuration/mesh/ownerfile"
)

// Key files hold one Ed25519 private key as PEM of PKCS #8 (RFC 8410), the form that openssl writes with
// "openssl genpkey -algorithm ed25519".

// ErrKeyFormat means that a key file does not hold an Ed25519 private key.
var ErrKeyFormat = errors.New("it does not hold an Ed25519 private key")

const (
	pemKeyType = "PRIVATE KEY"
	maxKeyFile = 4 << 10 // bytes; a real one has 119
)

// LoadKey reads the key in the file at path. A missing file is an error that wraps fs.ErrNotExist; a file that others
// may read is refused with ownerfile.ErrMode.
func LoadKey(path string) (ed25519.PrivateKey, error) {
	raw, err := ownerfile.Load(path, maxKeyFile)
	if errors.Is(err, ownerfile.ErrNoFile) || errors.Is(err, ownerfile.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", err, ErrKeyFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
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
	if err := ownerfile.Create(path, pem.EncodeToMemory(&pem.Block{Type: pemKeyType, Bytes: der})); err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	return key, nil
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
