package node

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"murmuration/mesh/ownerfile"
	"murmuration/node/shim"
)

const (
	// originFile is the name of the file by which programs on the same machine find a running origin.
	originFile = "origin.json"
	// runningFile is the name of the file by which they find who has a folder of recordings open.
	runningFile = "running.json"
)

// Running is what a running participant says of itself in a file that only its owner may read: an origin in origin.json
// in its folder, and each that keeps recordings in running.json in the folder of these. The file is gone when the
// participant has stopped, unless it was killed.
type Running struct {
	Role  string `json:"role"`
	API   string `json:"api"` // such as http://127.0.0.1:8480, or https: see Pin
	Token string `json:"token"`
	PID   int    `json:"pid"`

	// Pin names the TLS certificate that it shows, whose names may be others than API's host: the SHA-256 of its public
	// key, as curl's --pinnedpubkey takes it. Empty without TLS.
	Pin string `json:"pin,omitempty"`
}

// Verify reports whether a TLS connection leads to this very participant, for tls.Config.VerifyConnection: in place of
// names and authorities there is the pin.
func (r Running) Verify(c tls.ConnectionState) error {
	if r.Pin == "" || len(c.PeerCertificates) == 0 || shim.KeyPin(c.PeerCertificates[0]) != r.Pin {
		return errors.New("another certificate is shown there than the one it wrote down")
	}
	return nil
}

// FindOrigin reads the file of the origin that uses dir; an empty dir is the default folder. The error wraps
// fs.ErrNotExist where there is none.
func FindOrigin(dir string) (Running, error) {
	dir, err := keyDir(dir)
	if err != nil {
		return Running{}, err
	}
	return readRunning(filepath.Join(dir, originFile))
}

// FindKeeper reads the file of the participant that has a folder of recordings open. The error wraps fs.ErrNotExist
// where there is none. It does not look whether the process is alive: who gets the folder's lock knows that it is not.
func FindKeeper(recordings string) (Running, error) {
	return readRunning(filepath.Join(recordings, runningFile))
}

func readRunning(path string) (Running, error) {
	var r Running
	text, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil || r.API == "" {
		return r, fmt.Errorf("%s is not what a running murmur wrote: %w", path, errors.Join(err, ErrConfig))
	}
	return r, nil
}

func writeRunning(path string, r Running) error {
	r.PID = os.Getpid()
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return ownerfile.Replace(path, append(text, '\n'))
}

// ours reports whether the file is there and this participant's.
func ours(path, token string) bool {
	r, err := readRunning(path)
	return err == nil && r.Token == token && r.PID == os.Getpid()
}

// removeRunning takes the file away, unless it is another participant's by now.
func removeRunning(path, token string) error {
	if !ours(path, token) {
		return nil
	}
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
