package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"murmuration/mesh"
)

// Version of the program, set by the linker.
var Version = "dev"

// Errors that a caller tells apart. They come wrapped with what went wrong.
var (
	ErrConfig = errors.New("unusable configuration")
	ErrLink   = errors.New("unusable link")
	ErrKey    = errors.New("unusable key file")
	ErrListen = errors.New("cannot listen")
	ErrFeed   = errors.New("unusable feed")
	ErrStore  = errors.New("unusable recordings")
)

// Config is what every role shares. The zero value works: keys in the user's configuration folder, random ports, HTTP
// on loopback.
type Config struct {
	// Dir holds the key files. Default: murmur in the user's configuration folder.
	Dir string

	// Key is the node's identity. Default: the one in Dir, made where there is none.
	Key ed25519.PrivateKey

	// Listen holds the libp2p multiaddrs to listen on. Default: QUIC and TCP on all interfaces, random ports: being
	// reachable by peers is what a participant is started for.
	Listen []string

	// Announce holds further multiaddrs to give out, such as a forwarded port.
	Announce []string

	// Upload is the most to send, in bits a second. Default: what the uplink is found to carry.
	Upload int64

	// NoMDNS turns the search for peers on the LAN off.
	NoMDNS bool

	// HTTP is the address of the local HTTP face. Default 127.0.0.1:0.
	HTTP string

	// TLSCert and TLSKey are PEM files with which the HTTP face serves HTTPS and HTTP/2. Default: plain HTTP. They are read
	// again when they change.
	TLSCert, TLSKey string

	// AllowHosts are Host header values that the HTTP face answers to, beyond the loopback names.
	AllowHosts []string

	// Token is asked of HTTP requests that change anything. Default: random.
	Token string

	// Window is how much of each broadcast is kept in memory for rewinding and for peers that lack something.
	// Default 60 s.
	Window time.Duration

	// Recordings says what is kept on disk. A viewer keeps nothing unless Recordings.Dir is given.
	Recordings Recordings

	// Tell takes lines for the human who started the program: on air, feed lost, broadcast ended. May be nil.
	Tell func(line string)

	// Log takes the story for those who debug. Default: none.
	Log *slog.Logger

	held *os.File // the claim on the key
}

func (c *Config) fill() error {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Tell == nil {
		c.Tell = func(string) {}
	}
	if c.HTTP == "" {
		c.HTTP = "127.0.0.1:0"
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return fmt.Errorf("%w: --tls-cert and --tls-key go together", ErrConfig)
	}
	if c.Window == 0 {
		c.Window = time.Minute
	}
	if c.Window < 6*time.Second {
		return fmt.Errorf("%w: a window of %v is shorter than players need; give 6s or more", ErrConfig, c.Window)
	}
	if len(c.Listen) == 0 {
		c.Listen = []string{"/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0"}
	}
	if c.Token == "" {
		c.Token = randomHex(16)
	}
	if c.Recordings.Dir == "" && !c.Recordings.Off {
		dir, err := DefaultRecordings(c.Dir)
		if err != nil {
			return err
		}
		c.Recordings.Dir = dir
	}
	if c.Key == nil {
		return c.identify()
	}
	return nil
}

// identify takes the node's key. Where another participant on this machine has it, as the viewer of one's own broadcast
// may find, a fresh one does: two nodes of one name cannot talk to each other.
func (c *Config) identify() error {
	key, err := loadKey(c.Dir, "node.key")
	if err != nil {
		return err
	}
	dir, err := keyDir(c.Dir)
	if err != nil {
		return err
	}
	held, mine, err := claim(filepath.Join(dir, "node.key"))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	if !mine {
		c.Log.Info("another participant on this machine has the node's key: this one has a fresh one")
		_, key, err = ed25519.GenerateKey(nil)
	}
	c.Key, c.held = key, held
	return err
}

// Identity names a participant and the channel that it would publish on.
type Identity struct {
	Peer    string // peer ID of the node key
	Channel string // peer ID of the channel key
}

// Identify reads the keys in dir, made where there are none. An empty dir is the default folder.
func Identify(dir string) (Identity, error) {
	peer, err := loadKey(dir, "node.key")
	if err != nil {
		return Identity{}, err
	}
	channel, err := loadKey(dir, "channel.key")
	if err != nil {
		return Identity{}, err
	}
	return Identity{Peer: mesh.ChannelName(mesh.ChannelOf(peer)), Channel: mesh.ChannelName(mesh.ChannelOf(channel))}, nil
}

func loadKey(dir, name string) (ed25519.PrivateKey, error) {
	dir, err := keyDir(dir)
	if err != nil {
		return nil, err
	}
	key, _, err := mesh.LoadOrCreateKey(filepath.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return key, nil
}

// keyDir returns the folder of the key files.
func keyDir(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	base, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("%w: there is no folder for keys (%w): give one with --dir", ErrKey, err)
	}
	return filepath.Join(base, "murmur"), nil
}

// LoadChannelKey reads a channel key from a file of its own.
func LoadChannelKey(path string) (ed25519.PrivateKey, error) {
	key, err := mesh.LoadKey(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return key, nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
