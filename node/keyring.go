package node

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"murmuration/chunker/envelope"
	"murmuration/chunker/seal"
	"murmuration/mesh"
	"murmuration/mesh/ownerfile"
	"murmuration/node/archive"
)

const (
	// keyringFile is the name of the file with the keys of private broadcasts.
	keyringFile = "private.keys"
	// maxKeyring bounds it: some thirty thousand broadcasts.
	maxKeyring = 4 << 20
)

// keyring holds the secrets of private broadcasts: those that this participant made or was given in a link, and those of
// earlier runs, which the file keeps. A line of it is a broadcast and its key: CHANNEL/BROADCAST KEY, the key as in a link.
// Lines are only appended, so that several participants may share the file; the last one of a broadcast counts.
//
// The nil keyring knows nothing: a seed's.
type keyring struct {
	path string

	mu   sync.Mutex
	held map[archive.Key]seal.Secret // not in the file (yet): given in a link
	read map[archive.Key]seal.Secret
}

var keyText = base64.RawURLEncoding.Strict()

// openKeyring reads the file of the folder with the keys, where there is one. What others may read is refused.
func openKeyring(dir string) (*keyring, error) {
	dir, err := keyDir(dir)
	if err != nil {
		return nil, err
	}
	k := &keyring{path: filepath.Join(dir, keyringFile), held: map[archive.Key]seal.Secret{}}
	if err := k.load(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return k, nil
}

func (k *keyring) load() error {
	text, err := ownerfile.Load(k.path, maxKeyring)
	if errors.Is(err, fs.ErrNotExist) {
		k.read = nil
		return nil
	}
	if err != nil {
		return withAdvice(err)
	}
	keys, err := parseKeyring(text)
	if err != nil {
		return fmt.Errorf("%s: %w", k.path, err)
	}
	k.read = keys
	return nil
}

// withAdvice says what helps where the file has grown too large.
func withAdvice(err error) error {
	if errors.Is(err, ownerfile.ErrTooLarge) {
		return fmt.Errorf("%w: delete lines of broadcasts that nobody will watch again", err)
	}
	return err
}

// parseKeyring reads lines. What a power cut left of the last one, without a line break, is passed over: it was not
// promised to anybody. No error shows what a line holds.
func parseKeyring(text []byte) (map[archive.Key]seal.Secret, error) {
	keys := map[archive.Key]seal.Secret{}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	n := 0
	for line := range bytes.Lines(text) {
		n++
		fields := strings.Fields(string(line))
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d is not a broadcast and its key", n)
		}
		channel, broadcast, _ := strings.Cut(fields[0], "/")
		c, err := mesh.ParseChannel(channel)
		if err != nil || envelope.CheckName(broadcast) != nil {
			return nil, fmt.Errorf("line %d names no broadcast", n)
		}
		raw, err := keyText.DecodeString(fields[1])
		if err != nil {
			return nil, fmt.Errorf("line %d has no key", n) // the error would tell what stands there
		}
		secret, err := seal.ParseSecret(raw)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		keys[archive.Key{Channel: c, Broadcast: broadcast}] = secret
	}
	return keys, nil
}

// secret returns the secret of a broadcast.
func (k *keyring) secret(b archive.Key) (seal.Secret, bool) {
	if k == nil {
		return seal.Secret{}, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s, ok := k.held[b]; ok {
		return s, true
	}
	s, ok := k.read[b]
	return s, ok
}

// hold takes what a link carries, for this run.
func (k *keyring) hold(b archive.Key, key mesh.LinkKey) error {
	secret, err := seal.ParseSecret(key)
	if err != nil {
		return fmt.Errorf("%w: its key: %w", ErrLink, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held[b] = secret
	return nil
}

// keep writes a broadcast's secret to the file, on the disk when it returns, where it does not stand there already.
func (k *keyring) keep(b archive.Key, secret seal.Secret) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.read[b] == secret {
		return nil
	}
	if err := k.append(mesh.ChannelName(b.Channel) + "/" + b.Broadcast + " " + keyText.EncodeToString(secret[:]) + "\n"); err != nil {
		return fmt.Errorf("keeping the key of a private broadcast: %w", err)
	}
	if k.read == nil {
		k.read = map[archive.Key]seal.Secret{}
	}
	k.read[b] = secret
	delete(k.held, b)
	return nil
}

// append adds a line to the file, whole or not at all.
func (k *keyring) append(line string) error {
	if err := os.MkdirAll(filepath.Dir(k.path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(k.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := ownerfile.Read(f, maxKeyring)
	if err != nil {
		return withAdvice(err)
	}
	if len(text)+len(line) > maxKeyring {
		return fmt.Errorf("%s is full: delete lines of broadcasts that nobody will watch again", k.path)
	}
	end := int64(bytes.LastIndexByte(text, '\n') + 1)
	if end < int64(len(text)) { // what a power cut left
		if err := f.Truncate(end); err != nil {
			return err
		}
	}
	if _, err = f.WriteString(line); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Truncate(end))
	}
	return nil
}
