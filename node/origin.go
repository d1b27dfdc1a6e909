package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	// longFarewell is how long it stays at most while its peers fetch the recording's view, which is made only then.
	longFarewell = 10 * time.Second
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

	// Webhooks are URLs that are told of every broadcast's start, first chunk, end and recording.
	Webhooks []string

	// WebhookSecret signs what they are told; empty: unsigned.
	WebhookSecret string
}

// Origin publishes broadcasts.
type Origin struct {
	*participant
	cfg  OriginConfig
	rtmp *ingest.RTMPServer
	feed *mesh.Feed
	keys *standingKeys
	hook *webhooks
	dir  string // of the keys and of what is written down

	prepare func(*broadcast) // may set record and finished of a new broadcast, before anybody sees it; may be nil
	closing sync.WaitGroup   // what finished does

	announcing sync.Mutex // over writing down and publishing what is on: in order; before mu
	saved      string     // what broadcasts.json holds

	mu         sync.Mutex
	broadcasts []*broadcast // oldest first; long ended ones are forgotten
	leaving    bool         // no recording is finished later
}

// NewOrigin opens the ports. Run takes feeds.
func NewOrigin(cfg OriginConfig) (*Origin, error) {
	if cfg.Title == "" {
		cfg.Title = "Live"
	}
	if err := checkTitle(cfg.Title); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if cfg.Grace == 0 {
		cfg.Grace = 30 * time.Second
	}
	if cfg.Grace < 0 || cfg.Grace > maxGrace {
		return nil, fmt.Errorf("%w: a grace of %v; up to %v is possible", ErrConfig, cfg.Grace, maxGrace)
	}
	for _, url := range cfg.Webhooks {
		if err := checkWebhook(url); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
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
	dir, err := keyDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if cfg.RTMP == "" {
		cfg.StreamKey = ""
	}
	p, err := newParticipant("origin", mesh.Origin, cfg.Config)
	if err != nil {
		return nil, err
	}
	cfg.Config = p.cfg
	o := &Origin{participant: p, cfg: cfg, dir: dir}
	o.hook = newWebhooks(webhookConfig{URLs: cfg.Webhooks, Secret: cfg.WebhookSecret, Log: p.log})
	if err := o.start(); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	if err := o.begin(); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

func (o *Origin) start() (err error) {
	channel := mesh.ChannelOf(o.cfg.ChannelKey)
	if o.feed, err = o.mesh.Follow(channel); err != nil {
		return err
	}
	o.tune(o.cfg.Title, mesh.Link{Channel: channel, Peers: []peer.AddrInfo{reachable(o.mesh.Info())}})
	if o.keys, err = newStandingKeys(o.dir, o.cfg.StreamKey, o.log); err != nil {
		return err
	}
	if o.cfg.RTMP != "" {
		o.rtmp, err = ingest.ListenRTMP(ingest.RTMPConfig{
			Listen: o.cfg.RTMP, Authorize: o.authorize, Event: o.publisher, MaxConnections: 4 * maxOpen, Log: o.log,
		})
		if err != nil {
			return explainListen(err, "--rtmp")
		}
	}
	o.recordAll()
	o.removed = o.recordingRemoved
	o.serveAPI(o.apiRoutes())
	if err := o.declare(filepath.Join(o.dir, originFile)); err != nil {
		o.log.Warn("programs on this machine must be told the address and the token", "err", err) // a read-only folder, say
	}
	return nil
}

// begin goes on with what the last run had open, and tells the channel. Who is to keep recordings must have set prepare
// before.
func (o *Origin) begin() error {
	o.resumeSaved()
	o.endUnsaved()
	o.finishLeft()
	return o.announce()
}

// Run takes feeds until ctx ends or the input does. The last chunk and the end mark go out before it returns.
func (o *Origin) Run(ctx context.Context) error {
	// The face and the mesh outlive ctx by the farewell.
	serving, done := context.WithCancel(context.WithoutCancel(ctx))
	defer done()
	count := func(ctx context.Context) error {
		o.library.census(o.shim.Changed).run(ctx, o.feed.Channel())
		return nil
	}
	return o.run(serving, o.keepAlive, count, func(context.Context) error {
		defer done()
		err := o.takeFeeds(ctx)
		return errors.Join(err, o.leave())
	})
}

func (o *Origin) takeFeeds(ctx context.Context) error {
	if o.cfg.Input == "" {
		return o.rtmp.Serve(ctx)
	}
	b := o.newBroadcast()
	if b == nil {
		return errTooMany
	}
	err := o.takeInput(ctx, b)
	if err != nil && ctx.Err() == nil && !errors.Is(err, errEnded) {
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

// leave ends what is live and stays until that has got out. A broadcast that a program asked for and that has not begun
// stays open: the next start has it again.
func (o *Origin) leave() error {
	o.mu.Lock()
	o.leaving = true
	o.mu.Unlock()
	var errs []error
	live := false
	for _, b := range o.all() {
		live = live || b.endedWithin(farewell)
	}
	for _, b := range o.all() {
		info, onAir := b.listed()
		if !onAir && b.asked {
			continue
		}
		live = live || onAir && info.Live()
		if fresh, err := b.end(); fresh {
			o.closed(b)
			errs = append(errs, err)
		}
	}
	errs = append(errs, o.announce())
	var stay sync.WaitGroup
	if live {
		stay.Go(func() { time.Sleep(farewell) })
	}
	o.closing.Wait() // what comes of that is told, too
	o.hook.close(webhookFlush)
	stay.Wait()
	if live && o.library.store != nil {
		o.stayForView(time.Now())
	}
	return errors.Join(errs...)
}

// stayForView stays while connected peers fetch what was made when the last broadcast ended: until nobody has been sent
// anything for a farewell's time.
func (o *Origin) stayForView(began time.Time) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	told := false
	for now := began; now.Sub(began) < longFarewell && len(o.mesh.Status().Peers) > 0; now = <-tick.C {
		served := o.library.exchange.Served()
		if now.Sub(served) > farewell {
			return
		}
		if !told {
			told = true
			o.cfg.Tell("staying while others fetch the recording; a second signal ends this at once")
		}
	}
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
	o.hook.close(0)
	for _, b := range o.all() {
		b.mu.Lock()
		b.stopWaiting()
		b.mu.Unlock()
	}
	return errors.Join(err, removeRunning(filepath.Join(o.dir, originFile), o.Token()), o.participant.Close())
}
