package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/mesh/ownerfile"
	"murmuration/node/archive"
)

const (
	// deletedFile is the name of the file of deletions in the folder of the recordings.
	deletedFile = "deleted.json"
	// maxDeleted bounds how many deletions are remembered: a channel record lists fewer recordings.
	maxDeleted = 4096
	// maxDeletedBytes bounds the file of them.
	maxDeletedBytes = 1 << 20
)

// deletions remembers which recordings somebody deleted here, so that they do not come back by themselves: a keeper does
// not fetch them again, and an origin does not take them over from its channel's last record. What the keeper itself
// lets go of is not among them. Who holds the lock of the recordings writes the file.
type deletions struct {
	path string

	mu  sync.Mutex
	all []deletion // oldest first
	key map[archive.Key]int
}

// deletion is one recording that was deleted by hand.
type deletion struct {
	Channel   string    `json:"channel"` // peer ID
	Broadcast string    `json:"broadcast"`
	At        time.Time `json:"at"`
	Listed    bool      `json:"listed,omitempty"` // the channel record goes on listing it: others have it
}

// openDeletions reads what was deleted from a folder. What cannot be read is an error, and the deletions that are
// returned beside it are usable.
func openDeletions(dir string) (*deletions, error) {
	d := &deletions{path: filepath.Join(dir, deletedFile), key: map[archive.Key]int{}}
	f, err := os.Open(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDeletedBytes+1))
	if err != nil {
		return d, err
	}
	all, err := decodeDeletions(text)
	if err != nil {
		return d, fmt.Errorf("%s: %w", d.path, err)
	}
	for _, x := range all {
		d.note(x)
	}
	return d, nil
}

func decodeDeletions(text []byte) ([]deletion, error) {
	if len(text) > maxDeletedBytes {
		return nil, fmt.Errorf("more than %d bytes", maxDeletedBytes)
	}
	var all []deletion
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	for _, x := range all {
		if _, err := x.of(); err != nil {
			return nil, err
		}
	}
	return all[max(0, len(all)-maxDeleted):], nil
}

// of returns the recording that was deleted.
func (x deletion) of() (archive.Key, error) {
	c, err := mesh.ParseChannel(x.Channel)
	if err != nil {
		return archive.Key{}, err
	}
	return archive.Key{Channel: c, Broadcast: x.Broadcast}, envelope.CheckName(x.Broadcast)
}

// note takes a deletion in. The lock is held, or nobody else has d.
func (d *deletions) note(x deletion) {
	k, err := x.of()
	if err != nil {
		return
	}
	if i, ok := d.key[k]; ok {
		d.all[i] = x
		return
	}
	d.all = append(d.all, x)
	if len(d.all) > maxDeleted {
		d.all = d.all[len(d.all)-maxDeleted:]
		clear(d.key)
		for i, x := range d.all {
			if k, err := x.of(); err == nil {
				d.key[k] = i
			}
		}
		return
	}
	d.key[k] = len(d.all) - 1
}

// add remembers a deletion, on disk too.
func (d *deletions) add(k archive.Key, listed bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note(deletion{Channel: mesh.ChannelName(k.Channel), Broadcast: k.Broadcast, At: plain(time.Now()), Listed: listed})
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	out.SetIndent("", " ")
	if err := out.Encode(d.all); err != nil {
		return err
	}
	return ownerfile.Replace(d.path, text.Bytes())
}

// has reports whether somebody deleted a recording here, and withdrawn whether the channel is no longer to list it.
// No deletions at all is a nil d.
func (d *deletions) has(k archive.Key) (deleted, withdrawn bool) {
	if d == nil {
		return false, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	i, ok := d.key[k]
	return ok, ok && !d.all[i].Listed
}

// remove deletes a recording and remembers that. It is written down first, so that a crash between the two does not
// bring the recording back; where the disk is too full for that, after the deletion has made room.
func (d *deletions) remove(s *archive.Store, k archive.Key, listed bool) error {
	if _, ok := s.Lookup(k); !ok {
		return fmt.Errorf("delete %v: %w", k, archive.ErrNotFound)
	}
	noted := d.add(k, listed)
	if err := s.Remove(k); err != nil {
		return err
	}
	if noted != nil {
		noted = d.add(k, listed)
	}
	if noted != nil {
		return fmt.Errorf("the recording is deleted, but may be fetched again: %w", noted)
	}
	return nil
}

// DeleteRecording deletes a recording from a store in dir that this process has open, and remembers that: a seed does not
// fetch it again, and its channel's origin, where this is it, no longer lists it, unless listed says that others have it
// and it is to stay in the list.
func DeleteRecording(s *archive.Store, dir string, k archive.Key, listed bool) error {
	d, err := openDeletions(dir)
	if err := d.remove(s, k, listed); err != nil {
		return err
	}
	if err != nil { // the recording is gone all the same
		return fmt.Errorf("%w: earlier deletions are forgotten: %w", ErrStore, err)
	}
	return nil
}
