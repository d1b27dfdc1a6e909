package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/archive/exchange"
	"murmuration/node/archive/unixfs"
	"murmuration/node/shim"
)

const (
	// replayWait is how long a recording is looked for before the human is told that nobody has it.
	replayWait = time.Minute
	// replayRecord is how long the peers of a link are waited for to tell the channel's record, before the DHT is asked.
	replayRecord = 8 * time.Second
)

// ErrPrivate means that a recording is private, and that its key is not here.
var ErrPrivate = errors.New("recording not shown")

// ErrNoRecording means that a recording was not found.
var ErrNoRecording = errors.New("recording not found")

// ReplayConfig is what a Replay needs beyond Config.
type ReplayConfig struct {
	Config

	// What is to be played: the root CID of a recording (also as /ipfs/CID or ipfs://CID), or a link to a broadcast that
	// is over. A link to a channel means its newest recording.
	What string

	// Peers are multiaddrs with /p2p/ID of nodes that have it: other participants, or any IPFS node.
	Peers []string
}

// Replay plays a recording, and fetches what is watched of it.
type Replay struct {
	*participant
	root  cid.Cid // where it was given
	link  mesh.Link
	peers []peer.AddrInfo

	view    *unixfs.View
	session *exchange.Session // of a private recording, which is opened on the local face; else nil
}

// NewReplay opens the ports. Find looks for the recording, Run serves it.
func NewReplay(cfg ReplayConfig) (*Replay, error) {
	r := &Replay{}
	var err error
	if text := cfg.What; strings.HasPrefix(text, "murmur:") {
		if r.link, err = parseLink(text); err != nil {
			return nil, err
		}
	} else {
		text = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(text, "ipfs://"), "/ipfs/"), "/")
		if r.root, err = cid.Decode(text); err != nil {
			return nil, fmt.Errorf("%w: %q is neither a murmur link nor the CID of a recording (bafy...)", ErrLink, cfg.What)
		}
	}
	for _, text := range cfg.Peers {
		addr, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("%w: --peer %s: %w", ErrConfig, text, err)
		}
		info, err := peer.AddrInfoFromP2pAddr(addr)
		if err != nil {
			return nil, fmt.Errorf("%w: --peer %s: %w: an address with /p2p/PEERID at its end is needed", ErrConfig, text, err)
		}
		r.peers = append(r.peers, *info)
	}
	cfg.Recordings.Off = cfg.Recordings.Dir == ""
	if r.participant, err = newParticipant("replay", mesh.Viewer, cfg.Config); err != nil {
		return nil, err
	}
	if err := r.takeKey(r.link); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Find looks for the recording until it is there, and reads what it holds. What it returns tells about it.
func (r *Replay) Find(ctx context.Context) (*unixfs.Info, error) {
	ctx, cancel := context.WithTimeout(ctx, replayWait)
	defer cancel()
	if err := r.find(ctx); err != nil {
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("%w: %w", ErrPrivate, err)
		}
		if errors.Is(err, unixfs.ErrHostile) {
			return nil, fmt.Errorf("%w: what is there is no recording of Murmuration's: %w", ErrNoRecording, err)
		}
		if ctx.Err() != nil { // whatever of what was under way says so first
			err = fmt.Errorf("nobody that could be reached within %v has it: is a seed on, is the DHT allowed (--dht), or do you know a peer (--peer)?", replayWait)
		}
		return nil, fmt.Errorf("%w: %w", ErrNoRecording, err)
	}
	return r.view.Info, nil
}

func (r *Replay) find(ctx context.Context) error {
	if len(r.peers) > 0 || len(r.link.Peers) > 0 {
		go func() {
			err := r.mesh.Connect(context.WithoutCancel(ctx), append(r.peers, r.link.Peers...))
			if errors.Is(err, mesh.ErrUnreachable) {
				r.cfg.Tell("none of the peers can be reached yet; still trying")
			}
		}()
	}
	channel := r.link.Channel
	if !r.root.Defined() {
		info, err := r.lookUp(ctx)
		if err != nil {
			return err
		}
		r.root = info.Root
	}
	session := r.library.session(ctx)
	defer session.Close() //nolint:errcheck // it ends with ctx
	view, err := unixfs.Open(ctx, r.root, func(ctx context.Context, c cid.Cid) ([]byte, error) {
		if b, err := r.library.Get(ctx, c); err == nil {
			return b, nil
		}
		return session.Block(ctx, c)
	})
	if err != nil {
		return err
	}
	if channel == (envelope.Channel{}) {
		if channel, err = view.Info.ChannelKey(); err != nil {
			return err
		}
	}
	if err := view.Info.Verify(channel); err != nil {
		if r.link.Channel != (envelope.Channel{}) {
			return err
		}
		r.cfg.Tell("the recording is not signed by the channel that it names: anybody may have made it")
	}
	r.view = view
	r.link.Channel = channel
	if view.Info.Private {
		if err := r.showPrivate(ctx); err != nil {
			return err
		}
	}
	r.tune(view.Info.Title, r.link)
	r.library.show(view, r.root)
	return nil
}

// lookUp finds the recording that the link means in the channel's record: from the link's peers, else by IPNS.
func (r *Replay) lookUp(ctx context.Context) (mesh.RecordingInfo, error) {
	feed, err := r.mesh.Follow(r.link.Channel)
	if err != nil {
		return mesh.RecordingInfo{}, err
	}
	waiting, cancel := context.WithTimeout(ctx, replayRecord)
	defer cancel()
	for {
		rec, err := feed.Next(waiting)
		if err != nil {
			break
		}
		r.library.learn(rec)
		if info, ok := r.pick(); ok {
			return info, nil
		}
	}
	if r.cfg.Recordings.Routing == exchange.RoutingOff {
		return mesh.RecordingInfo{}, errors.New("the link's peers know of no such recording (and the DHT is off)")
	}
	if err := r.askName(ctx); err != nil {
		return mesh.RecordingInfo{}, err
	}
	if info, ok := r.pick(); ok {
		return info, nil
	}
	return mesh.RecordingInfo{}, errors.New("the channel lists no such recording")
}

// askName learns the channel's record by its IPNS name.
func (r *Replay) askName(ctx context.Context) error {
	path, err := r.library.exchange.ResolveName(ctx, mesh.ChannelID(r.link.Channel))
	if err != nil {
		return err
	}
	c, err := cid.Decode(strings.TrimPrefix(path, "/ipfs/"))
	if err != nil {
		return fmt.Errorf("the channel's IPNS name points at %s: %w", path, err)
	}
	session := r.library.session(ctx)
	defer session.Close() //nolint:errcheck // it ends with ctx
	raw, err := session.Block(ctx, c)
	if err != nil {
		return err
	}
	rec, err := mesh.DecodeRecord(raw)
	if err != nil {
		return err
	}
	if err := rec.Verify(); err != nil || rec.Channel != r.link.Channel {
		return errors.Join(mesh.ErrRecordSignature, err)
	}
	r.library.learn(rec)
	return nil
}

// pick returns the recording that the link means.
func (r *Replay) pick() (mesh.RecordingInfo, bool) {
	for _, info := range r.library.listed(r.link.Channel) {
		if r.link.Broadcast == "" || r.link.Broadcast == info.Broadcast {
			return info, true
		}
	}
	return mesh.RecordingInfo{}, false
}

// Playlist returns the address of the recording's playlist, for players.
func (r *Replay) Playlist() string {
	if r.view.Info.Private {
		return r.PageURL() + "b/" + r.view.Info.Broadcast + "/index.m3u8"
	}
	return r.PageURL() + "ipfs/" + r.root.String() + "/index.m3u8"
}

// What returns what is played, as it may be shown: without a key.
func (r *Replay) What() string {
	if r.link.Channel != (envelope.Channel{}) {
		return r.link.String()
	}
	return r.root.String()
}

// showPrivate opens a private recording on the local face, where its key is here. What is watched is fetched and opened here:
// the gateway has nothing that a player could play.
func (r *Replay) showPrivate(ctx context.Context) error {
	i := r.view.Info
	open := r.opener(archive.Key{Channel: r.link.Channel, Broadcast: i.Broadcast}, true)
	if err := open.why(); err != nil {
		return err
	}
	r.session = r.library.session(context.WithoutCancel(ctx))
	get := func(ctx context.Context, c cid.Cid) ([]byte, error) {
		if b, err := r.library.Get(ctx, c); err == nil {
			return b, nil
		}
		return r.session.Block(ctx, c)
	}
	for _, t := range r.view.Tracks { // whether the key is the right one
		for _, l := range t.Inits {
			b, err := get(ctx, l.Cid)
			if err != nil {
				return err
			}
			if _, err := open.init(t.Info.Name, b); err != nil {
				return err
			}
		}
	}
	face, err := r.shim.Open(shim.BroadcastInfo{ID: i.Broadcast, Title: i.Title, Started: i.Started, Private: true})
	if err != nil {
		return err
	}
	return fillView(face, r.view, get, open, func() {})
}

// Close lets go of everything.
func (r *Replay) Close() error {
	err := r.participant.Close()
	if r.session != nil {
		err = errors.Join(err, r.session.Close())
	}
	return err
}

// Keep fetches the whole recording into the store, with progress in bytes. Where nothing is kept it is an error.
func (r *Replay) Keep(ctx context.Context, progress func(done, total int64)) error {
	if r.library.store == nil {
		return fmt.Errorf("%w: none is open", ErrStore)
	}
	session := r.library.session(ctx)
	defer session.Close() //nolint:errcheck // it ends with ctx
	key := archive.Key{Channel: r.link.Channel, Broadcast: r.view.Info.Broadcast}
	_, err := r.library.store.Adopt(ctx, key, r.root, session, progress)
	return err
}

// Run serves the recording until ctx ends.
func (r *Replay) Run(ctx context.Context) error { return r.run(ctx) }
