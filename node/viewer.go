package node

import (
	"context"
	"fmt"

	"murmuration/mesh"
)

// ViewerConfig is what a Viewer needs beyond Config.
type ViewerConfig struct {
	Config

	// Link says what to watch.
	Link string
}

// Viewer watches a channel or a broadcast, and relays it.
type Viewer struct {
	*participant
	follower *follower
}

// NewViewer opens the ports. Run watches.
func NewViewer(cfg ViewerConfig) (*Viewer, error) {
	link, err := parseLink(cfg.Link)
	if err != nil {
		return nil, err
	}
	p, err := newParticipant("viewer", mesh.Viewer, cfg.Config)
	if err != nil {
		return nil, err
	}
	if err := p.takeKey(link); err != nil {
		p.Close()
		return nil, err
	}
	v := &Viewer{participant: p}
	if v.follower, err = p.follow(link, false); err != nil {
		p.Close()
		return nil, err
	}
	p.tune("", link)
	return v, nil
}

// Run watches until ctx ends.
func (v *Viewer) Run(ctx context.Context) error { return v.run(ctx, v.follower.run) }

func parseLink(s string) (mesh.Link, error) {
	link, err := mesh.ParseLink(s)
	if err != nil {
		return link, fmt.Errorf("%w: %w", ErrLink, err)
	}
	return link, nil
}
