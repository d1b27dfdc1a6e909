package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/mesh"
	"murmuration/node/ingest"
)

const (
	// farewell is how long an origin that stops stays, so that the last chunks, the end mark and the record get out
	// and the players of its own page read the end.
	farewell = 1500 * time.Millisecond
	// listedEnded is how many ended broadcasts stay in the channel record.
	listedEnded = 16
)

// OriginConfig is what an Origin needs beyond Config. Its zero value takes RTMP nowhere and has no input: give one.
type OriginConfig struct {
	Config

	// ChannelKey is the organiser's identity. Default: channel.key in Dir, made where there is none.
	ChannelKey ed25519.PrivateKey

	// Title of the broadcasts. Default "Live".
	Title string

	// RTMP is the address to take RTMP on; empty for none.
	RTMP string

	// StreamKey is what the encoder must give. Default: the one in stream.key in Dir, made where there is none.
	StreamKey string

	// Input is another source in place of RTMP: a .ts or .mp4 file played in real time, "-" for MPEG-TS on Stdin,
	// "test" for the test picture. The broadcast ends with it.
	Input string
	Stdin io.Reader
	Loop  bool // start a file over at its end

	// Grace is how long a feed that broke off may take to come back to the same broadcast. Default 30 s.
	Grace time.Duration
}

// Origin publishes broadcasts.
type Origin struct {
	*participant
	cfg  OriginConfig
	rtmp *ingest.RTMPServer
	feed *mesh.Feed

	mu         sync.Mutex
	current    *broadcast   // takes the feed; nil when there is none
	broadcasts []*broadcast // all since the start, oldest first
}

// NewOrigin opens the ports. Run takes feeds.
func NewOrigin(cfg OriginConfig) (*Origin, error) {
	if cfg.Title == "" {
		cfg.Title = "Live"
	}
	if cfg.Grace == 0 {
		cfg.Grace = 30 * time.Second
	}
	if cfg.Input == "" && cfg.RTMP == "" {
		return nil, fmt.Errorf("%w: there is nothing to broadcast: give an RTMP address or an input", ErrConfig)
	}
	if cfg.Input != "" && cfg.Input != "-" && cfg.Input != "test" {
		if _, err := os.Stat(cfg.Input); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFeed, err)
		}
	}
	if cfg.ChannelKey == nil {
		key, err := loadKey(cfg.Dir, "channel.key")
		if err != nil {
			return nil, err
		}
		cfg.ChannelKey = key
	}
	if cfg.StreamKey == "" && cfg.RTMP != "" {
		key, err := streamKey(cfg.Dir)
		if err != nil {
			return nil, err
		}
		cfg.StreamKey = key
	}
	p, err := newParticipant("origin", mesh.Origin, cfg.Config)
	if err != nil {
		return nil, err
	}
	cfg.Config = p.cfg
	o := &Origin{participant: p, cfg: cfg}
	if err := o.start(); err != nil {
		p.Close()
		return nil, err
	}
	return o, nil
}

func (o *Origin) start() (err error) {
	channel := mesh.ChannelOf(o.cfg.ChannelKey)
	if o.feed, err = o.mesh.Follow(channel); err != nil {
		return err
	}
	o.tune(o.cfg.Title, mesh.Link{Channel: channel, Peers: []peer.AddrInfo{reachable(o.mesh.Info())}})
	if o.cfg.RTMP != "" {
		o.rtmp, err = ingest.ListenRTMP(ingest.RTMPConfig{
			Listen: o.cfg.RTMP, Authorize: o.authorize, Grace: o.cfg.Grace, Event: o.publisher, Log: o.log,
		})
		if err != nil {
			return explainListen(err, "--rtmp")
		}
	}
	o.serveAPI()
	return o.publishRecord()
}

// Run takes feeds until ctx ends or the input does. The last chunk and the end mark go out before it returns.
func (o *Origin) Run(ctx context.Context) error {
	// The face and the mesh outlive ctx by the farewell.
	serving, done := context.WithCancel(context.WithoutCancel(ctx))
	defer done()
	return o.run(serving, func(context.Context) error {
		defer done()
		err := o.takeFeeds(ctx)
		return errors.Join(err, o.leave())
	})
}

func (o *Origin) takeFeeds(ctx context.Context) error {
	if o.cfg.Input == "" {
		return o.rtmp.Serve(ctx)
	}
	err := o.takeInput(ctx, o.newBroadcast())
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrFeed, err)
	}
	return nil
}

func (o *Origin) takeInput(ctx context.Context, sink ingest.Sink) error {
	switch o.cfg.Input {
	case "test":
		return ingest.TestPicture{KeyInterval: time.Second}.Run(ctx, sink)
	case "-":
		return ingest.ReadTS(ctx, o.cfg.Stdin, sink, ingest.ReadConfig{Log: o.log})
	default:
		return ingest.ReadFile(ctx, o.cfg.Input, sink, ingest.ReadConfig{Loop: o.cfg.Loop, Log: o.log})
	}
}

// leave ends what is live and stays until that has got out.
func (o *Origin) leave() error {
	o.mu.Lock()
	all := slices.Clone(o.broadcasts)
	o.mu.Unlock()
	var errs []error
	live := false
	for _, b := range all {
		if _, ok := b.record(); ok && b.isLive() {
			live = true
		}
		errs = append(errs, b.end())
	}
	if live {
		errs = append(errs, o.publishRecord())
		time.Sleep(farewell)
	}
	return errors.Join(errs...)
}

// authorize gives a publisher the broadcast it feeds: the current one, or a new one.
func (o *Origin) authorize(_, key string) (ingest.Sink, error) {
	if !ingest.SameKey(key, o.cfg.StreamKey) {
		return nil, ingest.ErrWrongKey
	}
	return o.newBroadcast(), nil
}

// newBroadcast returns the current broadcast where it can go on, else a fresh one. It shows up with its first chunk.
func (o *Origin) newBroadcast() *broadcast {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.current == nil || !o.current.isLive() {
		o.current = &broadcast{host: o.participant, key: o.cfg.ChannelKey, title: o.cfg.Title, live: o.onAir, log: o.log}
		o.broadcasts = append(o.broadcasts, o.current)
	}
	return o.current
}

// publisher tells the human about the encoder's coming and going, and ends a broadcast whose feed does not return.
func (o *Origin) publisher(e ingest.RTMPEvent) {
	b, ok := e.Sink.(*broadcast)
	if !ok {
		return
	}
	switch e.Kind {
	case ingest.PublisherCame:
		o.cfg.Tell("feed from " + e.Peer)
	case ingest.PublisherDropped, ingest.PublisherStopped:
		why := "stopped"
		if e.Err != nil {
			why = e.Err.Error()
		}
		o.cfg.Tell(fmt.Sprintf("feed lost (%s): %v goes on if it returns within %v", why, b, o.cfg.Grace))
	case ingest.GraceOver:
		if err := o.end(b); err != nil {
			o.log.Warn("ending a broadcast", "err", err)
		}
	}
}

// onAir is called when a broadcast's first chunk is out.
func (o *Origin) onAir(b *broadcast) {
	if err := o.publishRecord(); err != nil {
		o.log.Warn("channel record not published", "err", err)
	}
	info, _ := b.record()
	o.cfg.Tell(fmt.Sprintf("on air    %v  %s", b, strings.TrimSpace(describeTrack(info.Tracks[0]))))
}

func describeTrack(t mesh.TrackInfo) string {
	if t.Width > 0 {
		return fmt.Sprintf("%dx%d %s", t.Width, t.Height, t.Codecs)
	}
	return t.Codecs
}

// end ends a broadcast and says so in the record and to the human.
func (o *Origin) end(b *broadcast) error {
	err := b.end()
	o.mu.Lock()
	if o.current == b {
		o.current = nil
	}
	o.mu.Unlock()
	if _, ok := b.record(); ok {
		o.cfg.Tell(fmt.Sprintf("ended     %v", b))
		err = errors.Join(err, o.publishRecord())
	}
	return err
}

// publishRecord tells the channel what is on.
func (o *Origin) publishRecord() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	rec := mesh.Record{Title: o.cfg.Title}
	for _, b := range o.broadcasts {
		if info, ok := b.record(); ok {
			rec.Broadcasts = append(rec.Broadcasts, info)
		}
	}
	rec.Broadcasts = dropEnded(rec.Broadcasts, listedEnded)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
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

// Link returns what to hand out: what is on now on this channel.
func (o *Origin) Link() string { return o.shareLink().String() }

// RTMP returns the server address and the stream key for the encoder; empty where there is no RTMP.
func (o *Origin) RTMP() (server, key string) {
	if o.rtmp == nil {
		return "", ""
	}
	return "rtmp://" + o.rtmp.Addr().String() + "/live", o.cfg.StreamKey
}

// Close lets go of the ports.
func (o *Origin) Close() error {
	var err error
	if o.rtmp != nil {
		err = closed(o.rtmp.Close())
	}
	return errors.Join(err, o.participant.Close())
}
