package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// originFile is the name of the file by which programs on the same machine find a running origin.
const originFile = "origin.json"

// RunningOrigin is what a running origin says of itself in the file origin.json in its folder, which only its owner may
// read. The file is gone when the origin has stopped, unless it was killed.
type RunningOrigin struct {
	API   string `json:"api"` // such as http://127.0.0.1:8480
	Token string `json:"token"`
	PID   int    `json:"pid"`
}

// FindOrigin reads the file of the origin that uses dir; an empty dir is the default folder. The error wraps
// fs.ErrNotExist where there is none.
func FindOrigin(dir string) (RunningOrigin, error) {
	var r RunningOrigin
	dir, err := keyDir(dir)
	if err != nil {
		return r, err
	}
	text, err := os.ReadFile(filepath.Join(dir, originFile))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil || r.API == "" {
		return r, fmt.Errorf("%s is not what an origin wrote: %w", filepath.Join(dir, originFile), errors.Join(err, ErrConfig))
	}
	return r, nil
}

func writeOriginFile(dir, api, token string) error {
	text, err := json.Marshal(RunningOrigin{API: api, Token: token, PID: os.Getpid()})
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(dir, originFile), string(text)+"\n")
}

// removeOriginFile takes the file away, unless it is another origin's by now.
func removeOriginFile(dir, token string) error {
	if r, err := FindOrigin(dir); err != nil || r.Token != token || r.PID != os.Getpid() {
		return nil //nolint:nilerr // there is nothing of ours to remove
	}
	err := os.Remove(filepath.Join(dir, originFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
