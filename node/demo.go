package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"murmuration/node/player"
)

// DemoConfig configures a Demo. The zero value has five seeds.
type DemoConfig struct {
	// HTTP is the address of the viewer's page. Default 127.0.0.1:0.
	HTTP string

	// Seeds is their number. Default 5.
	Seeds int

	Tell func(line string) // as in Config
	Log  *slog.Logger      // as in Config
}

// Demo is an origin with the test picture, seeds and a viewer in one process, on loopback, each with a mesh node of its
// own. The viewer knows only the seeds.
type Demo struct {
	dir    string
	origin *Origin
	seeds  []*Seed
	viewer *Viewer
}

// NewDemo opens the ports. Run or Measure play.
func NewDemo(cfg DemoConfig) (*Demo, error) {
	if cfg.Seeds < 0 || cfg.Seeds > 100 {
		return nil, fmt.Errorf("%w: %d seeds; a demo takes 1 to 100", ErrConfig, cfg.Seeds)
	}
	if cfg.Seeds == 0 {
		cfg.Seeds = 5
	}
	dir, err := os.MkdirTemp("", "murmur-demo-")
	if err != nil {
		return nil, err
	}
	d := &Demo{dir: dir}
	if err := d.start(cfg); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Demo) start(cfg DemoConfig) (err error) {
	part := func(name string) Config {
		return Config{
			Dir: filepath.Join(d.dir, name), Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}, NoMDNS: true, Log: cfg.Log,
			Recordings: Recordings{Off: name == "viewer"},
		}
	}
	origin := OriginConfig{Config: part("origin"), Title: "Murmuration demo", Input: "test"}
	if d.origin, err = NewOrigin(origin); err != nil {
		return err
	}
	link := d.origin.shareLink()
	toSeeds := link
	toSeeds.Peers = nil
	for i := range cfg.Seeds {
		s, err := NewSeed(SeedConfig{Config: part(fmt.Sprint("seed", i)), Links: []string{link.String()}})
		if err != nil {
			return err
		}
		d.seeds = append(d.seeds, s)
		toSeeds.Peers = append(toSeeds.Peers, s.mesh.Info())
	}
	viewer := ViewerConfig{Config: part("viewer"), Link: toSeeds.String()}
	viewer.HTTP, viewer.Tell = cfg.HTTP, cfg.Tell
	d.viewer, err = NewViewer(viewer)
	return err
}

// PageURL returns the address of the viewer's page.
func (d *Demo) PageURL() string { return d.viewer.PageURL() }

// Link returns a link to the demo, for other participants on this machine.
func (d *Demo) Link() string { return d.origin.Link() }

// Run plays until ctx ends.
func (d *Demo) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.origin.Run(ctx) })
	for _, s := range d.seeds {
		group.Go(func() error { return s.Run(ctx) })
	}
	group.Go(func() error { return d.viewer.Run(ctx) })
	return group.Wait()
}

// Measure plays for a while with a headless player at the viewer's page, and returns what the player measured. Latency
// is from the making of the picture to its part's arrival at the player.
func (d *Demo) Measure(ctx context.Context, span time.Duration) (player.Result, error) {
	var result player.Result
	running, stop := context.WithCancel(ctx)
	group, running := errgroup.WithContext(running)
	group.Go(func() error { return d.Run(running) })
	group.Go(func() error {
		defer stop()
		playing, done := context.WithTimeout(running, span)
		defer done()
		client := player.New(player.Config{URL: d.viewer.PageURL() + "live.m3u8", Patience: span})
		err := client.Run(playing)
		result = client.Result()
		result.Published = d.published()
		return err
	})
	err := group.Wait()
	return result, err
}

// published counts the chunks that the origin sent out.
func (d *Demo) published() int {
	n := 0
	for _, t := range d.origin.mesh.Status().Tracks {
		n += int(t.Published)
	}
	return n
}

// Close lets go of everything.
func (d *Demo) Close() error {
	var errs []error
	if d.viewer != nil {
		errs = append(errs, d.viewer.Close())
	}
	for _, s := range d.seeds {
		errs = append(errs, s.Close())
	}
	if d.origin != nil {
		errs = append(errs, d.origin.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}
