package main

import (
	"time"

	"murmuration/node"
)

type replayCmd struct {
	peerFlags  `set:"http=127.0.0.1:8483"`
	dhtFlags   `set:"dht=client"`
	What       string   `arg:"" name:"cid|link" help:"The recording: its root CID (bafy..., /ipfs/bafy...), or a link to a broadcast that is over."`
	Peer       []string `placeholder:"MULTIADDR" help:"A node that has it, with /p2p/PEERID at its end: another participant, or any IPFS node."`
	Keep       bool     `help:"Fetch the whole of it, too, and keep it among the recordings."`
	Recordings string   `type:"path" placeholder:"DIR" help:"Folder of the recordings, for --keep (default: recordings in --dir, else murmur/recordings in the user's data folder)."`
	Open       bool     `default:"true" negatable:"" help:"Open the page in the browser when there is one."`
}

// Help is shown below the flags.
func (replayCmd) Help() string {
	return `Plays what is over, and fetches what is watched of it, from all who have it at once.

Examples:
  murmur replay murmur://12D3KooW.../0mws4qyo6dfne305?p=...     a talk by its link
  murmur replay bafybei...                                      a recording by its root, found by the DHT
  murmur replay bafybei... --peer /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW...    from an IPFS node that has it
  mpv http://127.0.0.1:8483/ipfs/bafybei.../index.m3u8          the same in mpv, VLC or ffplay`
}

// Run is called by kong.
func (c replayCmd) Run(e *env) error {
	cfg := node.ReplayConfig{Config: c.config(e, []string{"/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0"}), What: c.What, Peers: c.Peer}
	if err := c.apply(&cfg.Recordings); err != nil {
		return err
	}
	if c.Keep {
		dir := c.Recordings
		if dir == "" {
			var err error
			if dir, err = node.DefaultRecordings(c.Dir); err != nil {
				return err
			}
		}
		cfg.Recordings.Dir = dir
	}
	r, err := node.NewReplay(cfg)
	if err != nil {
		return err
	}
	defer r.Close()
	e.say("looking   for %s", r.What())
	running := make(chan error, 1)
	go func() { running <- r.Run(e.ctx) }()
	info, err := r.Find(e.ctx)
	if err != nil {
		if e.ctx.Err() != nil {
			return e.ctx.Err()
		}
		return err
	}
	e.say("found     %q, %v, of %s", info.Title, info.Length().Round(time.Second), info.Started.Local().Format("2006-01-02 15:04"))
	e.say("page      %s", r.PageURL())
	e.say("players   %s", r.Playlist())
	if c.Open {
		openBrowser(e, r.PageURL())
	}
	if c.Keep {
		m := newMeter(e.stderr)
		err := r.Keep(e.ctx, m.bar("fetching"))
		m.clear()
		if err != nil {
			return err
		}
		e.say("kept      whole: murmur recordings ls")
	}
	return <-running
}
