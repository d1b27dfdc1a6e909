package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	// maxSaved bounds the file of open broadcasts.
	maxSaved = 256 << 10
	// beat is how often that file is touched while something is on air, so that the next start knows when this one ended.
	beat = 5 * time.Second
	// maxAway is for how long an origin may be away, beyond its broadcast's grace, to go on with it. After that the feed
	// that comes is another talk's.
	maxAway = 5 * time.Minute
)

// savedFile is the name of the file of open broadcasts.
const savedFile = "broadcasts.json"

// savedBroadcast is an open broadcast as the file keeps it, for the next start after a crash, and
// where the broadcast had not begun, after a stop.
type savedBroadcast struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	Created  time.Time `json:"created"`
	Started  time.Time `json:"started"` // zero before the first chunk
	Key      string    `json:"key"`
	Standing bool      `json:"standing"`
	Asked    bool      `json:"asked"`
	Grace    float64   `json:"grace_s"`
	Webhook  string    `json:"webhook,omitempty"`
	Epoch    uint64    `json:"epoch"`
	Private  bool      `json:"private,omitempty"` // its key is in the keyring
	Codecs   string    `json:"codecs,omitempty"`
	Width    int       `json:"width,omitempty"`
	Height   int       `json:"height,omitempty"`

	Tracks []savedTrack `json:"tracks,omitempty"` // besides main
}

// savedTrack is a further track of an open broadcast.
type savedTrack struct {
	Name   string `json:"name"`
	Codecs string `json:"codecs,omitempty"` // empty before its first chunk
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
}

// save writes down what is open, where that is not what the file says already. The caller holds o.announcing.
func (o *Origin) save() error {
	open := []savedBroadcast{}
	for _, b := range o.all() {
		if b.streamKey == "" {
			continue // an input is not gone on with
		}
		b.mu.Lock()
		if b.ended.IsZero() {
			s := savedBroadcast{
				ID: b.id, Title: b.title, Created: b.created, Key: b.streamKey, Standing: b.standing, Asked: b.asked, Webhook: b.webhook,
				Private: b.secret != nil, Grace: b.grace.Seconds(), Epoch: b.epoch, Codecs: b.info.Codecs, Width: b.info.Width, Height: b.info.Height,
			}
			for _, t := range b.sides {
				s.Tracks = append(s.Tracks, savedTrack{t.name, t.info.Codecs, t.info.Width, t.info.Height})
			}
			if b.onAir {
				s.Started = b.started
			}
			open = append(open, s)
		}
		b.mu.Unlock()
	}
	text, err := json.MarshalIndent(open, "", "  ")
	if err != nil {
		return err
	}
	if string(text) == o.saved || o.saved == "" && len(open) == 0 {
		return nil
	}
	if err := ownerfile.Replace(filepath.Join(o.dir, savedFile), append(text, '\n')); err != nil {
		return fmt.Errorf("writing down the open broadcasts: %w", err)
	}
	o.saved = string(text)
	return nil
}

// keepAlive touches the file of open broadcasts until ctx ends.
func (o *Origin) keepAlive(ctx context.Context) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for _, b := range o.all() {
				if info, ok := b.listed(); ok && info.Live() {
					_ = os.Chtimes(filepath.Join(o.dir, savedFile), now, now) // a full or read-only disk is said by save
					break
				}
			}
		}
	}
}

// loadSaved reads what was open when the origin stopped, and when it was last alive.
func loadSaved(dir string) ([]savedBroadcast, time.Time, error) {
	path := filepath.Join(dir, savedFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSaved {
		return nil, time.Time{}, fmt.Errorf("%s is not a file of at most %d bytes", path, maxSaved)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	all, err := decodeSaved(text)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return all, info.ModTime(), err
}

func decodeSaved(text []byte) ([]savedBroadcast, error) {
	var all []savedBroadcast
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	if len(all) > maxOpen {
		return nil, fmt.Errorf("%d broadcasts", len(all))
	}
	for _, s := range all {
		if err := errors.Join(envelope.CheckName(s.ID), checkTitle(s.Title)); err != nil {
			return nil, err
		}
		if s.Key == "" || s.Epoch >= envelope.MaxInteger || s.Grace < 0 || s.Grace > maxGrace.Seconds() {
			return nil, fmt.Errorf("%s: key, epoch or grace", s.ID)
		}
		names := []string{mainTrack}
		for _, t := range s.Tracks {
			names = append(names, t.Name)
		}
		if _, err := checkTracks(names); err != nil {
			return nil, fmt.Errorf("%s: %w", s.ID, err)
		}
	}
	return all, nil
}

// resumeSaved opens again what was open when the origin was killed, and ends what cannot go on. What does not work out is
// said, and left.
func (o *Origin) resumeSaved() {
	all, alive, err := loadSaved(o.dir)
	if err != nil {
		o.log.Warn("open broadcasts of the last run are not gone on with", "err", err)
	}
	if len(all) > 0 || err != nil {
		o.saved = "?" // to be written anew, whatever comes of this
	}
	for _, s := range all {
		b, err := o.resumeBroadcast(s, alive)
		if err != nil {
			o.log.Warn("a broadcast of the last run is not gone on with", "broadcast", s.ID, "err", err)
			continue
		}
		if s.Asked && s.Started.IsZero() {
			o.log.Info("a broadcast of the last run waits again", "broadcast", b.id)
			continue
		}
		if o.rtmp == nil || time.Since(alive) > b.grace+maxAway {
			if err := o.end(b); err != nil {
				o.log.Warn("ending a broadcast of the last run", "broadcast", b.id, "err", err)
			}
			continue
		}
		o.cfg.Tell(fmt.Sprintf("resumed   %v goes on if its feed returns within %v", b, b.grace))
		b.gone()
	}
}

// resumeBroadcast opens a broadcast that an earlier process, last alive then, had open. Its chunks are of a higher epoch
// than s says; viewers carry on across it.
func (o *Origin) resumeBroadcast(s savedBroadcast, alive time.Time) (*broadcast, error) {
	o.mu.Lock()
	for _, b := range o.broadcasts {
		if b.id == s.ID || b.isLive() && b.streamKey == s.Key {
			o.mu.Unlock()
			return nil, fmt.Errorf("%s is open already, or its stream key is taken", s.ID)
		}
	}
	var further []string
	for _, t := range s.Tracks {
		further = append(further, t.Name)
	}
	b, err := o.broadcast(newcomer{
		tracks: further,
		id:     s.ID, created: s.Created, title: s.Title, key: s.Key, standing: s.Standing, asked: s.Asked, webhook: s.Webhook,
		grace: time.Duration(s.Grace * float64(time.Second)), epoch: max(s.Epoch+1, uint64(time.Now().Unix())),
		private: s.Private, resumed: true,
	})
	if err != nil {
		o.mu.Unlock()
		return nil, err
	}
	if b.onAir = !s.Started.IsZero(); b.onAir {
		b.started, b.last = s.Started, alive
		b.info = mesh.TrackInfo{Name: mainTrack, Codecs: s.Codecs, Width: s.Width, Height: s.Height}
	}
	o.mu.Unlock()
	if err := b.appear(); err != nil {
		b.end() //nolint:errcheck // it had no chunk
		o.forget(b)
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, t := range b.sides {
		if saved := s.Tracks[i]; saved.Codecs != "" {
			t.resume(mesh.TrackInfo{Name: t.name, Codecs: saved.Codecs, Width: saved.Width, Height: saved.Height})
		}
	}
	b.heal()
	return b, nil
}

// recallWithin is how old the newest chunk of a recording may be whose rest is asked for when it is finished after a
// restart.
const recallWithin = 24 * time.Hour

// recall asks the peers of a broadcast that an earlier process left, and that is not gone on with, for what the disk lost.
func (o *Origin) recall(ctx context.Context, rec *archive.Recording) {
	var asking sync.WaitGroup
	for _, t := range rec.Info().Tracks {
		asking.Go(func() { o.recallTrack(ctx, rec, t.Name) })
	}
	asking.Wait()
}

func (o *Origin) recallTrack(ctx context.Context, rec *archive.Recording, name string) {
	here, ok := rec.Track(name)
	if !ok {
		return
	}
	newest, _ := here.Newest()
	last, ok := here.Chunk(newest)
	if !ok || last.Flags.Has(envelope.End) || time.Since(last.Captured) > recallWithin {
		return
	}
	key := rec.Key()
	past := &past{name: name, recording: func() (*archive.Recording, bool) { return rec, true }}
	track, err := o.mesh.Join(mesh.TrackID{Channel: key.Channel, Broadcast: key.Broadcast, Track: name}, mesh.JoinConfig{Log: past})
	if err != nil {
		o.log.Warn("peers are not asked for the rest of a recording", "broadcast", key.Broadcast, "err", err)
		return
	}
	defer track.Close() //nolint:errcheck // it was only asked
	newMender(rec, track, name).resumed().finish(ctx)
}

const (
	// leastPause and longestPause bound the hole that a restart leaves on a broadcast's timeline, so that its recording
	// remains one MP4 (chunker/FORMAT.md, 4.1).
	leastPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// timeline returns where the media timeline of a broadcast begins whose feed comes now: at 0, or, after a restart, as long
// after the end of what was recorded as that is ago.
func (b *broadcast) timeline(now time.Time) time.Duration {
	if b.recording == nil {
		return 0
	}
	rec, ok := b.recording()
	if !ok {
		return 0
	}
	track, ok := rec.Track(mainTrack)
	if !ok {
		return 0
	}
	newest, _ := track.Newest()
	last, ok := track.Chunk(newest)
	if !ok {
		return 0
	}
	pause := now.Sub(last.Captured.Add(last.DurationTime()))
	return last.Time() + last.DurationTime() + min(max(pause, leastPause), longestPause)
}
