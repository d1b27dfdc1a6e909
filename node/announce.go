package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/ingest"
)

// publisher tells the human about the encoder's coming and going. The grace is the broadcast's own, not the server's.
func (o *Origin) publisher(e ingest.RTMPEvent) {
	if t, ok := e.Sink.(*sideTrack); ok {
		o.sidePublisher(e, t)
		return
	}
	b, ok := e.Sink.(*broadcast)
	if !ok {
		return
	}
	switch e.Kind {
	case ingest.PublisherCame:
		b.came()
		o.cfg.Tell("feed from " + e.Peer)
	case ingest.PublisherStopped: // of its own will: the talk is over, and its recording is wanted now
		if b.isLive() {
			go o.graceOver(b) // not on the server's time
		}
	case ingest.PublisherDropped:
		if !b.isLive() {
			return
		}
		why := "dropped"
		if e.Err != nil {
			why = e.Err.Error()
		}
		o.cfg.Tell(fmt.Sprintf("feed lost (%s): %v goes on if it returns within %v", why, b, b.grace))
		b.gone()
	case ingest.GraceOver:
	}
	o.shim.Changed()
}

// sidePublisher does so for a further track, whose coming and going ends nothing.
func (o *Origin) sidePublisher(e ingest.RTMPEvent, t *sideTrack) {
	switch e.Kind {
	case ingest.PublisherCame:
		t.came()
		o.cfg.Tell(fmt.Sprintf("feed from %s: %v", e.Peer, t))
	case ingest.PublisherStopped, ingest.PublisherDropped:
		t.gone()
		if !t.b.isLive() {
			return
		}
		why := "stopped"
		if e.Err != nil {
			why = e.Err.Error()
		}
		o.cfg.Tell(fmt.Sprintf("feed lost (%s): %v", why, t))
	case ingest.GraceOver:
	}
	o.shim.Changed()
}

// graceOver ends a broadcast whose feed did not return, or was stopped.
func (o *Origin) graceOver(b *broadcast) {
	if err := o.end(b); err != nil {
		o.log.Warn("ending a broadcast", "err", err)
	}
}

// begun tells of a new broadcast.
func (o *Origin) begun(b *broadcast) {
	o.log.Info("broadcast opened", "broadcast", b.id, "asked", b.asked, "standing", b.standing)
	o.notify(eventStart, b)
	o.announcing.Lock()
	err := o.save()
	o.announcing.Unlock()
	if err != nil {
		o.log.Warn("a crash would end this broadcast", "broadcast", b.id, "err", err)
	}
}

// onAir is called when a broadcast's first chunk is out.
func (o *Origin) onAir(b *broadcast) {
	if err := o.announce(); err != nil {
		o.log.Warn("channel record not published", "err", err)
	}
	info, _ := b.listed()
	o.cfg.Tell(fmt.Sprintf("on air    %v  %s", b, strings.TrimSpace(describeTrack(info.Tracks[0]))))
	o.notify(eventLive, b)
}

func describeTrack(t mesh.TrackInfo) string {
	if t.Width > 0 {
		return fmt.Sprintf("%dx%d %s", t.Width, t.Height, t.Codecs)
	}
	return t.Codecs
}

// end ends a broadcast and says so in the record and to the human. Ending an ended one does nothing.
func (o *Origin) end(b *broadcast) error {
	fresh, err := b.end()
	if !fresh {
		return err
	}
	o.closed(b)
	return errors.Join(err, o.announce())
}

// closed tells those concerned that a broadcast has ended.
func (o *Origin) closed(b *broadcast) {
	if told := b.goingLive(); told != nil {
		<-told // first things first
	}
	if _, onAir := b.listed(); onAir {
		o.cfg.Tell(fmt.Sprintf("ended     %v", b))
	} else {
		b.hide()
	}
	o.notify(eventEnd, b)
	if b.finished != nil {
		o.closing.Go(func() { b.finished(b) })
	}
	o.tidy()
}

// announce writes down what is open and tells the channel what is on.
func (o *Origin) announce() error {
	o.announcing.Lock()
	defer o.announcing.Unlock()
	rec := mesh.Record{Title: o.cfg.Title}
	for _, b := range o.all() {
		if _, withdrawn := o.library.deleted.has(archive.Key{Channel: o.feed.Channel(), Broadcast: b.id}); withdrawn {
			continue
		}
		if info, ok := b.listed(); ok {
			rec.Broadcasts = append(rec.Broadcasts, info)
		}
	}
	rec.Broadcasts = dropEnded(rec.Broadcasts, listedEnded)
	rec.Recordings = o.listRecordings()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := o.save(); err != nil {
		o.log.Warn("a crash would end what is live", "err", err)
	}
	return o.feed.Publish(ctx, o.cfg.ChannelKey, rec)
}

// dropEnded leaves out all but the last n ended broadcasts.
func dropEnded(all []mesh.BroadcastInfo, n int) []mesh.BroadcastInfo {
	ended := 0
	for _, b := range all {
		if !b.Live() {
			ended++
		}
	}
	return slices.DeleteFunc(all, func(b mesh.BroadcastInfo) bool {
		if b.Live() || ended <= n {
			return false
		}
		ended--
		return true
	})
}
