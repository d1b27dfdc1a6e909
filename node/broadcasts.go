package node

import (
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/node/ingest"
)

const (
	// maxOpen is how many broadcasts may be open at once, waiting or live.
	maxOpen = 32
	// keptEnded is how many ended broadcasts the origin still knows by their id.
	keptEnded = 256
)

var (
	// errTooMany says that no further broadcast can be opened.
	errTooMany = errors.New("too many broadcasts are open: end one first")
	// errKeyTaken says that a stream key cannot be given to two broadcasts at once.
	errKeyTaken = errors.New("another open broadcast has this stream key")
	// errClosed is what a publisher gets whose key was for one broadcast that is over.
	errClosed = errors.New("the broadcast of this stream key is over")
)

// newcomer says what a broadcast is to be.
type newcomer struct {
	id       string    // default: a new one
	created  time.Time // default: now
	title    string    // default: the origin's
	key      string    // stream key; empty without RTMP
	standing bool
	asked    bool
	grace    time.Duration
	webhook  string
	epoch    uint64   // at least
	tracks   []string // besides main
	private  bool
	resumed  bool // of an earlier run: a private one has its key
}

// broadcast makes a broadcast and tells those who wait for its start. The caller holds o.mu.
func (o *Origin) broadcast(n newcomer) (*broadcast, error) {
	open := 0
	for _, b := range o.broadcasts {
		if b.isLive() {
			open++
		}
	}
	if open >= maxOpen {
		return nil, errTooMany
	}
	if n.created.IsZero() {
		n.created = time.Now()
	}
	if n.id == "" {
		n.id = envelope.NewBroadcastID(n.created, rand.Reader)
	}
	if n.title == "" {
		n.title = o.cfg.Title
	}
	secret, err := o.secretOf(n)
	if err != nil {
		return nil, err
	}
	b := &broadcast{
		host: o.participant, key: o.cfg.ChannelKey, log: o.log,
		id: n.id, created: n.created, epoch: max(uint64(n.created.Unix()), n.epoch), streamKey: n.key,
		standing: n.standing, asked: n.asked, grace: n.grace, webhook: n.webhook, title: n.title,
		live: o.onAir, changed: o.trackUpdate, over: o.graceOver, headway: headway{origin: n.created.Round(0)}, secret: secret,
	}
	for _, name := range n.tracks {
		if _, err := b.side(name, true); err != nil {
			return nil, err
		}
	}
	if o.prepare != nil {
		o.prepare(b)
	}
	o.broadcasts = append(o.broadcasts, b)
	return b, nil
}

// openWith returns the open broadcast of a standing key, or a new one. The caller holds o.mu.
func (o *Origin) openWith(k standingKey) (b *broadcast, fresh bool, err error) {
	for _, b := range o.broadcasts {
		if b.streamKey == k.key && b.isLive() {
			return b, false, nil
		}
	}
	b, err = o.broadcast(newcomer{title: k.title, key: k.key, standing: true, grace: o.cfg.Grace})
	return b, err == nil, err
}

// newBroadcast returns the broadcast of the origin's own key or input where it can go on, else a fresh one; nil where too
// many are open. It shows up with its first picture.
func (o *Origin) newBroadcast() *broadcast {
	o.mu.Lock()
	b, fresh, err := o.openWith(standingKey{key: o.cfg.StreamKey})
	o.mu.Unlock()
	if err != nil {
		o.log.Error("no broadcast", "err", err)
		return nil
	}
	if fresh {
		o.begun(b)
	}
	return b
}

// authorize gives a publisher the broadcast that it feeds: the open one of its key, or, with a standing key, a new one.
// Every key is compared whatever the others gave, so that the time taken tells nothing. A further track needs an open
// broadcast: main alone begins one.
func (o *Origin) authorize(_, key, track string) (ingest.Sink, error) {
	further := track != "" && track != mainTrack
	standing, stands := findKey(o.keys.all(), key)
	o.mu.Lock()
	var open, ended *broadcast
	for _, b := range o.broadcasts {
		if b.streamKey == "" || !ingest.SameKey(b.streamKey, key) {
			continue
		}
		if b.isLive() {
			open = b
		} else {
			ended = b
		}
	}
	var err error
	fresh := false
	switch {
	case open != nil:
	case stands && further:
		err = errMainFirst
	case stands:
		open, fresh, err = o.openWith(standing)
	case ended != nil && !ended.standing:
		err = errClosed
	default:
		err = ingest.ErrWrongKey
	}
	o.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if !further {
		open.returning()
	}
	if fresh {
		o.begun(open)
	}
	return sinkOf(open, track, open.standing)
}

// ask opens a broadcast for a program: it is in the mesh and on the page at once.
func (o *Origin) ask(n newcomer) (*broadcast, error) {
	n.asked = true
	if n.key != "" {
		if k, ok := findKey(o.keys.all(), n.key); ok {
			n.standing = true
			if n.title == "" {
				n.title = k.title
			}
		}
	} else {
		n.key = randomHex(12)
	}
	o.mu.Lock()
	for _, b := range o.broadcasts {
		if b.streamKey == n.key && b.isLive() {
			o.mu.Unlock()
			return nil, errKeyTaken
		}
	}
	b, err := o.broadcast(n)
	o.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := b.appear(); err != nil {
		b.end() //nolint:errcheck // it had no chunk
		o.forget(b)
		return nil, err
	}
	o.begun(b)
	return b, nil
}

func (o *Origin) forget(b *broadcast) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broadcasts = slices.DeleteFunc(o.broadcasts, func(x *broadcast) bool { return x == b })
}

// all returns the broadcasts, oldest first.
func (o *Origin) all() []*broadcast {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.broadcasts)
}

func (o *Origin) broadcastByID(id string) *broadcast {
	for _, b := range o.all() {
		if b.id == id {
			return b
		}
	}
	return nil
}

// tidy takes long ended broadcasts off the page, and forgets the oldest.
func (o *Origin) tidy() {
	o.mu.Lock()
	var hide []*broadcast
	ended := 0
	for i := len(o.broadcasts) - 1; i >= 0; i-- {
		b := o.broadcasts[i]
		if b.isLive() {
			continue
		}
		if ended++; ended > listedEnded {
			hide = append(hide, b)
		}
		if ended > keptEnded {
			o.broadcasts = slices.Delete(o.broadcasts, i, i+1)
		}
	}
	o.mu.Unlock()
	for _, b := range hide {
		b.hide()
	}
}
