package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
)

// recordAll makes the origin keep every broadcast. It is called before the first one opens.
func (o *Origin) recordAll() {
	if o.library.store == nil {
		return
	}
	o.prepare = func(b *broadcast) {
		r := &recorder{library: o.library, key: archive.Key{Channel: mesh.ChannelOf(o.cfg.ChannelKey), Broadcast: b.id}, broadcast: b}
		b.record = r.append
		b.recording = r.recording
		b.finished = o.finishRecording
	}
}

// recorder appends a broadcast's chunks to its recording, which begins with the first of them.
type recorder struct {
	library   *library
	key       archive.Key
	broadcast *broadcast

	poser poser // of the publisher's goroutine

	mu  sync.Mutex
	rec *archive.Recording
}

// append keeps a chunk before anybody else gets it: what a viewer has seen is in the recording.
func (r *recorder) append(c envelope.Chunk) error {
	rec, err := r.begin()
	if err != nil {
		return err
	}
	if c.Track != mainTrack {
		_, err = rec.Append(c)
		return err
	}
	if mp4 := r.poser.take(c); mp4 != nil && r.library.stills != nil {
		r.library.stills.prepare(mp4)
	}
	_, err = rec.Append(c)
	return err
}

func (r *recorder) begin() (*archive.Recording, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rec != nil {
		return r.rec, nil
	}
	rec, err := r.library.store.Create(r.key, archive.Meta{Title: r.broadcast.title, Started: r.broadcast.started, Own: true})
	if err != nil {
		return nil, err
	}
	r.rec = rec
	return rec, nil
}

// recording returns the recording where it has begun, in this run or an earlier one.
func (r *recorder) recording() (*archive.Recording, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rec != nil {
		return r.rec, true
	}
	return r.library.store.Lookup(r.key)
}

// finishRecording writes the recording's view and tells everybody of its root.
func (o *Origin) finishRecording(b *broadcast) {
	rec, ok := b.recording()
	if !ok {
		return // it had no chunk
	}
	if info, listed := b.listed(); listed && info.Title != rec.Info().Title {
		if err := rec.SetTitle(info.Title); err != nil {
			o.log.Warn("the recording keeps its first title", "broadcast", b.id, "err", err)
		}
	}
	b.healLast(rec)
	o.finish(rec)
}

// finishAgain is how long after a failure another attempt is made at finishing a recording: there may be room by then.
const finishAgain = 30 * time.Second

// finish publishes a recording, and where that fails, tries again while the origin runs; after that, the next start does.
func (o *Origin) finish(rec *archive.Recording) {
	err := o.publishRecording(rec)
	if err == nil {
		return
	}
	i := rec.Info()
	o.log.Error("finishing a recording", "broadcast", i.Key.Broadcast, "err", err)
	o.cfg.Tell(fmt.Sprintf("recording %q (%s) cannot be finished yet: %v", i.Title, i.Key.Broadcast, err))
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.leaving {
		time.AfterFunc(finishAgain, func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			if !o.leaving {
				o.closing.Go(func() { o.finish(rec) })
			}
		})
	}
}

// finishLeft finishes what an earlier run left: broadcasts that were live when it was killed and are not gone on with.
func (o *Origin) finishLeft() {
	if o.library.store == nil {
		return
	}
	channel := mesh.ChannelOf(o.cfg.ChannelKey)
	for _, i := range o.library.store.List() {
		if i.Key.Channel != channel || !i.Own || i.State == archive.Finished || o.broadcastByID(i.Key.Broadcast) != nil {
			continue
		}
		rec, ok := o.library.store.Lookup(i.Key)
		if !ok {
			continue
		}
		o.closing.Go(func() {
			o.recall(context.Background(), rec)
			o.finish(rec)
		})
	}
}

// publishRecording finishes a recording, and puts its root into the channel record and into the DHT.
func (o *Origin) publishRecording(rec *archive.Recording) error {
	began := time.Now()
	sign := func(message []byte) []byte { return ed25519.Sign(o.cfg.ChannelKey, message) }
	root, err := rec.Finish(context.Background(), sign)
	if err != nil {
		return err
	}
	i := rec.Info()
	o.log.Info("recording finished", "broadcast", i.Key.Broadcast, "root", root, "took", time.Since(began))
	o.cfg.Tell(fmt.Sprintf("recording %q (%s)  %s  /ipfs/%s", i.Title, i.Key.Broadcast, i.Duration.Round(time.Second), root))
	o.recordingReady(recordingInfo{
		Broadcast: i.Key.Broadcast, Title: i.Title, Started: i.Started, Ended: i.Ended, Root: root.String(), Size: i.Size, Duration: i.Duration,
	})
	err = o.announce()
	o.shim.Changed()
	o.library.exchange.Announce()
	go o.publishName()
	return err
}

// recordingRemoved takes a recording that was deleted by hand off the channel: out of its record and its name, and its
// broadcast off the page, where the last minutes of it may still be in memory.
func (o *Origin) recordingRemoved(i archive.Info, listed bool) {
	if i.Key.Channel != o.feed.Channel() || listed {
		return
	}
	if b := o.broadcastByID(i.Key.Broadcast); b != nil {
		b.hide()
	}
	if err := o.announce(); err != nil {
		o.log.Warn("channel record not published", "err", err) // it is tried again every ten seconds
	}
	go o.publishName()
}

// publishName points the channel's IPNS name at its record, which lists the recordings.
func (o *Origin) publishName() {
	rec, ok := o.feed.Latest()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), nameTimeout)
	defer cancel()
	if err := o.library.publishName(ctx, o.cfg.ChannelKey, rec); err != nil && !errors.Is(err, context.Canceled) {
		o.log.Warn("the channel's IPNS name is not published", "err", err)
	}
}

// nameTimeout bounds the publishing of a name: the public DHT takes its time.
const nameTimeout = 2 * time.Minute

const (
	// maxListed and maxListedBytes bound the recordings in a channel record, which holds 256 and 64 KiB in all.
	maxListed      = 200
	maxListedBytes = 48 << 10
	// listedBytes is what one takes besides its title, about.
	listedBytes = 160
)

// listRecordings returns what the channel record is to list, oldest first: the recordings that are here, and those that
// the last record listed, of another origin of this channel or of another disk, but for what was deleted here. Where they
// are too many, the oldest go.
func (o *Origin) listRecordings() []mesh.RecordingInfo {
	channel := mesh.ChannelOf(o.cfg.ChannelKey)
	list := o.library.kept(channel)
	if last, ok := o.feed.Latest(); ok {
		for _, r := range last.Recordings {
			if _, withdrawn := o.library.deleted.has(archive.Key{Channel: channel, Broadcast: r.Broadcast}); withdrawn {
				continue
			}
			if !slices.ContainsFunc(list, func(k mesh.RecordingInfo) bool { return k.Broadcast == r.Broadcast }) {
				list = append(list, r)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b mesh.RecordingInfo) int { return a.Started.Compare(b.Started) })
	size, first := 0, len(list)
	for first > 0 && len(list)-first < maxListed && size+listedBytes+len(list[first-1].Title) <= maxListedBytes {
		first--
		size += listedBytes + len(list[first].Title)
	}
	return list[first:]
}
