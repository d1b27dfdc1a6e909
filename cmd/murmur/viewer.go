package main

import "murmuration/node"

type viewerCmd struct {
	peerFlags  `set:"http=127.0.0.1:8481"`
	storeFlags `set:"record=false" set:"dht=off"` //nolint:staticcheck // kong takes several
	Link       string                             `arg:"" help:"The link you were given: murmur://..."`
	Listen     []string                           `placeholder:"MULTIADDR" default:"/ip4/0.0.0.0/udp/0/quic-v1,/ip4/0.0.0.0/tcp/0" help:"Where other peers reach this one (${default})."`
	Open       bool                               `default:"true" negatable:"" help:"Open the page in the browser when there is one."`
}

// Help is shown below the flags.
func (viewerCmd) Help() string {
	return `Examples:
  murmur viewer murmur://12D3KooW...?p=...        the page opens in the browser
  mpv http://127.0.0.1:8481/live.mp4              the same in mpv, VLC or ffplay
  murmur viewer --http 127.0.0.1:9000 LINK        a second viewer on one machine`
}

// Run is called by kong.
func (c viewerCmd) Run(e *env) error {
	cfg := node.ViewerConfig{Config: c.config(e, c.Listen), Link: c.Link}
	var err error
	if cfg.Recordings, err = c.recordings(); err != nil {
		return err
	}
	v, err := node.NewViewer(cfg)
	if err != nil {
		return err
	}
	defer v.Close()
	e.say("page      %s", v.PageURL())
	e.say("players   %slive.mp4 (mpv, VLC, ffplay), %slive.m3u8 (Safari)", v.PageURL(), v.PageURL())
	if c.Open {
		openBrowser(e, v.PageURL())
	}
	return v.Run(e.ctx)
}
