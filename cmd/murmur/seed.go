package main

import "murmuration/node"

type seedCmd struct {
	peerFlags `set:"http=127.0.0.1:8482"`
	Links     []string `arg:"" name:"link" help:"One or more links: murmur://..."`
	Listen    []string `placeholder:"MULTIADDR" default:"/ip4/0.0.0.0/udp/4102/quic-v1,/ip4/0.0.0.0/tcp/4102" help:"Where other peers reach this seed (${default})."`
}

// Help is shown below the flags.
func (seedCmd) Help() string {
	return `Examples:
  murmur seed murmur://12D3KooW...?p=...          relay whatever is on, until stopped

What the seed gives is shown on its page and at /metrics. Its own address can be added to the link as another ?p=.`
}

// Run is called by kong.
func (c seedCmd) Run(e *env) error {
	s, err := node.NewSeed(node.SeedConfig{Config: c.config(e, c.Listen), Links: c.Links})
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
