package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"murmuration/chunker"
	"murmuration/chunker/envelope"
	"murmuration/mesh"
)

// mainTrack is the track with picture and sound.
const mainTrack = "main"

// broadcast is one live session at the origin: units in, chunks out to the mesh and to the local face. It is the
// ingest.Sink of its publisher, and comes to life with the first Format.
type broadcast struct {
	host *participant
	key  ed25519.PrivateKey
	live func(*broadcast) // told once, when the first chunk is out
	log  *slog.Logger

	mu      sync.Mutex // the publisher's goroutine against end
	id      string
	title   string
	started time.Time
	ended   time.Time
	cutter  *chunker.Cutter
	shown   *showing
	info    mesh.TrackInfo
	feed    time.Time // when the last unit came
	lost    bool      // the publisher is away
	full    error     // why a chunk was not published, said once
}

// Format implements ingest.Sink.
func (b *broadcast) Format(f chunker.Format) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended.IsZero() {
		return errors.New("the broadcast has ended")
	}
	if b.cutter == nil {
		if err := b.open(); err != nil {
			return err
		}
	}
	b.lost = false
	return b.cutter.SetFormat(f)
}

// open gives the broadcast its name, its place in the mesh and on the page.
func (b *broadcast) open() error {
	now := time.Now()
	id := envelope.NewBroadcastID(now, rand.Reader)
	cutter, err := chunker.New(chunker.Config{
		Key: b.key, Broadcast: id, Track: mainTrack, Epoch: uint64(now.Unix()), Log: b.log,
	})
	if err != nil {
		return err
	}
	shown, err := b.host.show(mesh.ChannelOf(b.key), mesh.BroadcastInfo{ID: id, Title: b.title, Started: now}, mesh.JoinConfig{Publish: true})
	if err != nil {
		return err
	}
	b.id, b.started, b.cutter, b.shown = id, now, cutter, shown
	return nil
}

// Unit implements ingest.Sink.
func (b *broadcast) Unit(u chunker.Unit) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended.IsZero() {
		return errors.New("the broadcast has ended")
	}
	b.feed = u.Captured
	chunks, err := b.cutter.Write(u)
	b.emit(chunks)
	return err
}

// Interrupt implements ingest.Sink.
func (b *broadcast) Interrupt() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cutter == nil || !b.ended.IsZero() {
		return nil
	}
	b.lost = true
	chunks, err := b.cutter.Interrupt()
	b.emit(chunks)
	return err
}

// end publishes the end mark. What comes from the publisher afterwards is refused.
func (b *broadcast) end() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended.IsZero() {
		return nil
	}
	b.ended = time.Now()
	if b.cutter == nil {
		return nil
	}
	chunks, err := b.cutter.End()
	b.emit(chunks)
	return err
}

// emit sends chunks on their way. A chunk that cannot go out is said once; the broadcast goes on.
func (b *broadcast) emit(chunks []envelope.Chunk) {
	for _, c := range chunks {
		first := b.info.Name == ""
		if first {
			b.info = describe(c)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := errors.Join(b.shown.push(c), b.shown.track.Publish(ctx, c))
		cancel()
		if err != nil && b.full == nil {
			b.full = err
			b.log.Warn("a chunk was not published", "broadcast", b.id, "chunk", c.ID(), "err", err)
		}
		if first {
			go b.live(b)
		}
	}
}

// record returns how the channel record lists the broadcast; false before its first chunk.
func (b *broadcast) record() (mesh.BroadcastInfo, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.info.Name == "" {
		return mesh.BroadcastInfo{}, false
	}
	return mesh.BroadcastInfo{
		ID: b.id, Title: b.title, Started: b.started, Ended: b.ended, Tracks: []mesh.TrackInfo{b.info},
	}, true
}

// String names the broadcast in messages.
func (b *broadcast) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprintf("%q (%s)", b.title, b.id)
}

// isLive reports whether the broadcast has not ended; it may not have begun.
func (b *broadcast) isLive() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended.IsZero()
}
