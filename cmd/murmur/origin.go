package main

import (
	"fmt"
	"time"

	"murmuration/node"
)

type originCmd struct {
	peerFlags     `set:"http=127.0.0.1:8480"`
	storeFlags    `set:"record=true" set:"dht=auto"` //nolint:staticcheck // kong takes several
	Listen        []string                           `placeholder:"MULTIADDR" default:"/ip4/0.0.0.0/udp/4101/quic-v1,/ip4/0.0.0.0/tcp/4101" help:"Where viewers and seeds reach this origin (${default})."`
	Title         string                             `default:"Live" help:"Title of the broadcasts."`
	ChannelKey    string                             `type:"path" placeholder:"FILE" help:"Channel key, to stand in for another origin (default: channel.key in --dir)."`
	RTMP          string                             `name:"rtmp" default:"127.0.0.1:1935" placeholder:"ADDR" help:"Where to take RTMP (${default}; 0.0.0.0:1935 for an encoder on another machine; off for none)."`
	StreamKey     string                             `placeholder:"KEY" help:"Stream key that the encoder must give (default: made once, kept in --dir)."`
	Input         string                             `placeholder:"FILE" help:"Take the feed from a .ts or .mp4 file, - for MPEG-TS on standard input, test for the built-in picture, instead of RTMP."`
	Loop          bool                               `help:"Start the --input file over at its end."`
	Grace         time.Duration                      `default:"30s" help:"How long a feed that broke off may take to come back to the same broadcast."`
	Webhook       []string                           `placeholder:"URL" help:"Tell this URL of every broadcast's start, first picture, end and recording; may be repeated."`
	WebhookSecret string                             `placeholder:"SECRET" help:"Sign what webhooks are told (HMAC-SHA256, header Murmur-Signature); better set as MURMUR_WEBHOOK_SECRET."`
}

// Help is shown below the flags.
func (originCmd) Help() string {
	return `Examples:
  murmur origin                                   then in OBS: Server rtmp://127.0.0.1/live and the key it prints
  murmur origin --rtmp 0.0.0.0:1935               take the feed from another machine
  murmur origin --input talk.mp4 --loop           broadcast a file
  ffmpeg ... -f mpegts - | murmur origin --input -

Share the link that it prints. The link without a broadcast's name means what is on now, from one talk to the next.

Several stages at once: give each encoder a stream key of its own, either for one talk (murmur broadcast start) or for
good, in the file keys in --dir (chmod 600), one to a line with the stage's title behind it. Whenever somebody publishes
with such a key and none of its broadcasts is open, a new one begins.

Programs: http://127.0.0.1:8480/api/v1/openapi.json describes the API. While the origin runs, the token that it asks for
is in the file origin.json in --dir, which only its owner may read:
  curl -H "Authorization: Bearer $(jq -r .token ~/.config/murmur/origin.json)" http://127.0.0.1:8480/api/v1/broadcasts`
}

// Run is called by kong.
func (c originCmd) Run(e *env) error {
	cfg := node.OriginConfig{
		Config: c.config(e, c.Listen), Title: c.Title, RTMP: c.RTMP, StreamKey: c.StreamKey,
		Input: c.Input, Stdin: e.stdin, Loop: c.Loop, Grace: c.Grace,
		Webhooks: c.Webhook, WebhookSecret: c.WebhookSecret,
	}
	if c.RTMP == "off" || c.Input != "" {
		cfg.RTMP = ""
	}
	if c.ChannelKey != "" {
		key, err := node.LoadChannelKey(c.ChannelKey)
		if err != nil {
			return err
		}
		cfg.ChannelKey = key
	}
	var err error
	if cfg.Recordings, err = c.recordings(); err != nil {
		return err
	}
	o, err := node.NewOrigin(cfg)
	if err != nil {
		return err
	}
	defer o.Close()
	if server, key := o.RTMP(); server != "" {
		e.say("encoder   server %s   stream key %s", server, key)
	}
	e.say("page      %s", o.PageURL())
	e.say("share     murmur viewer '%s'", o.Link())
	fmt.Fprintln(e.stdout, o.Link())
	return o.Run(e.ctx)
}
