package node

import (
	"context"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/mesh"
)

// SeedConfig is what a Seed needs beyond Config.
type SeedConfig struct {
	Config

	// Links say what to carry: all that is live on a channel, or one broadcast.
	Links []string
}

// Seed carries broadcasts for others.
type Seed struct {
	*participant
	followers []*follower
}

// NewSeed opens the ports. Run carries.
func NewSeed(cfg SeedConfig) (*Seed, error) {
	if len(cfg.Links) == 0 {
		return nil, fmt.Errorf("%w: a seed needs one link at least", ErrConfig)
	}
	var links []mesh.Link
	for _, text := range cfg.Links {
		link, err := parseLink(text)
		if err != nil {
			return nil, err
		}
		if len(link.Key) > 0 {
			if cfg.Tell != nil {
				cfg.Tell("the link's key is not used: a seed carries private broadcasts and keeps them sealed")
			}
			link.Key = nil
		}
		links = append(links, link)
	}
	p, err := newParticipant("seed", mesh.Seed, cfg.Config)
	if err != nil {
		return nil, err
	}
	s := &Seed{participant: p}
	for _, link := range links {
		f, err := p.follow(link, true)
		if err != nil {
			p.Close()
			return nil, err
		}
		s.followers = append(s.followers, f)
	}
	first := links[0]
	first.Peers = append([]peer.AddrInfo{reachable(p.mesh.Info())}, first.Peers...)
	p.tune("", first)
	return s, nil
}

// Run carries until ctx ends.
func (s *Seed) Run(ctx context.Context) error {
	work := []func(context.Context) error{s.library.report}
	for _, f := range s.followers {
		work = append(work, f.run)
	}
	return s.run(ctx, work...)
}

// ShareLinks returns links to what this seed carries, through this seed.
func (s *Seed) ShareLinks() []string {
	var links []string
	for _, f := range s.followers {
		l := f.link
		l.Peers = []peer.AddrInfo{reachable(s.mesh.Info())}
		links = append(links, l.String())
	}
	return links
}
