package main

import "murmuration/node"

type seedCmd struct {
	peerFlags  `set:"http=127.0.0.1:8482"`
	storeFlags `set:"record=true" set:"dht=auto"` //nolint:staticcheck // kong takes several
	Keep       string                             `default:"all" placeholder:"all|N|DAYSd" help:"Which recordings of a channel to keep: all, the last N, or those of the last days, such as 30d (${default})."`
	Links      []string                           `arg:"" name:"link" help:"One or more links: murmur://..."`
	Listen     []string                           `placeholder:"MULTIADDR" default:"/ip4/0.0.0.0/udp/4102/quic-v1,/ip4/0.0.0.0/tcp/4102" help:"Where other peers reach this seed (${default})."`
}

// Help is shown below the flags.
func (seedCmd) Help() string {
	return `Examples:
  murmur seed murmur://12D3KooW...?p=...                       relay whatever is on and keep the recordings, until stopped
  murmur seed murmur://12D3KooW...?p=... --disk 200G --keep 30d    those of the last 30 days, 200 GB at most
  murmur seed murmur://12D3KooW...?p=... --no-record           relay only

What the seed gives is shown on its page and at /metrics. Its own address can be added to the link as another ?p=.`
}

// Run is called by kong.
func (c seedCmd) Run(e *env) error {
	cfg := node.SeedConfig{Config: c.config(e, c.Listen), Links: c.Links}
	var err error
	if cfg.Recordings, err = c.recordings(); err != nil {
		return err
	}
	if cfg.Recordings.Keep, err = node.ParseKeep(c.Keep); err != nil {
		return err
	}
	s, err := node.NewSeed(cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	e.say("page      %s", s.PageURL())
	for _, link := range s.ShareLinks() {
		e.say("share     %s", link)
	}
	return s.Run(e.ctx)
}
